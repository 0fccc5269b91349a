// Keys that act by themselves: one key, one action. None of them acts while somebody types, or together with others.

const TYPED = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

export const isTyping = (node) => Boolean(node?.closest?.(TYPED));

// Have keys act as long as `actions` gives any: an object from a key, letters in lower case, to a function. One that is
// held down acts once, but for arrows and what is no letter.
export function onKeys(actions) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = actions(event)?.[key];
    if (!act) return;
    event.preventDefault();
    if (!(event.repeat && /^[a-z]$/.test(key))) act();
  });
}
