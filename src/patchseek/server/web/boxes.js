// Boxes x y w h in shares of a picture, 0 to 1: how a drag changes one. Knows nothing of the screen.

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// A box of two opposite corners, at least `least` [w, h] large, inside the picture.
function spanned([ax, ay], [bx, by], [leastW, leastH]) {
  const [w, h] = [Math.max(Math.abs(bx - ax), leastW), Math.max(Math.abs(by - ay), leastH)];
  return [clamp(Math.min(ax, bx), 0, 1 - w), clamp(Math.min(ay, by), 0, 1 - h), w, h];
}

// Each of these gives, for the point where a drag has come to, the box that it makes.

export const drawing = (from, least) => (to) => spanned(from, to, least);

export const moving = ([x, y, w, h], [ax, ay]) => ([bx, by]) => [clamp(x + bx - ax, 0, 1 - w), clamp(y + by - ay, 0, 1 - h), w, h];

// By a handle: n, ne, e and so on.
export const resizing = ([x, y, w, h], at, least) => ([bx, by]) => {
  const [ax, cx] = at.includes("w") ? [x + w, bx] : at.includes("e") ? [x, bx] : [x, x + w];
  const [ay, cy] = at.includes("n") ? [y + h, by] : at.includes("s") ? [y, by] : [y, y + h];
  return spanned([ax, ay], [cx, cy], least);
};

// The same box moved by a step, or made larger by it.
export const stepped = ([x, y, w, h], [dx, dy]) => [clamp(x + dx, 0, 1 - w), clamp(y + dy, 0, 1 - h), w, h];
export const grown = ([x, y, w, h], [dx, dy], [leastW, leastH]) => [x, y, clamp(w + dx, leastW, 1 - x), clamp(h + dy, leastH, 1 - y)];
