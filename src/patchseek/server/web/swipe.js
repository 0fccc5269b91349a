// One finger that is drawn sideways over something turns the page.

const FAR = 48; // pixels of the screen, and more sideways than up or down

// turn(step): 1 for a finger drawn to the left, -1 to the right. isOn: whether drags mean nothing else.
export function onSwipe(place, turn, isOn) {
  let from = null;
  place.addEventListener("pointerdown", (event) => {
    from = event.pointerType === "touch" && event.isPrimary && isOn() ? event : null;
  });
  place.addEventListener("pointerdown", (event) => event.isPrimary || (from = null), { capture: true }); // a second finger
  place.addEventListener("pointercancel", () => (from = null));
  place.addEventListener("pointerup", (event) => {
    if (from?.pointerId !== event.pointerId) return;
    const [across, down] = [event.clientX - from.clientX, event.clientY - from.clientY];
    from = null;
    if (Math.abs(across) > Math.max(FAR, 1.5 * Math.abs(down))) turn(across < 0 ? 1 : -1);
  });
}
