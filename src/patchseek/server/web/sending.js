// How much of a picture to search with has been sent, in percent, over the place where it will stand.

import { $ } from "./dom.js";

const PATIENCE_MS = 300; // what is sent sooner need not be told

// A function that is told the share sent, 0 to 1, of a file of that name; without a name, it is over.
export function sending(name) {
  const began = performance.now();
  if (name === null) $("sending").hidden = true;
  return (share) => {
    $("sending").hidden = performance.now() - began < PATIENCE_MS;
    $("sending-share").value = share;
    $("sending-words").textContent = share === 1 ? `Reading ${name || "it"}` : `Sending ${name || "it"}: ${Math.round(100 * share)} %`;
  };
}
