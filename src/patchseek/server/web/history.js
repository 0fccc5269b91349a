// What something was before, to go back to and forward again. Knows nothing of boxes.

const JOIN_MS = 1000;
const MOST = 200;

export class History {
  #values;
  #at = 0;
  #kind = "";
  #when = 0;

  constructor(first) {
    this.#values = [first];
  }

  // kind: changes of one kind that follow each other quickly, such as keys held down, are taken back as one.
  note(value, kind = "") {
    const now = performance.now();
    if (String(value) === String(this.#values[this.#at])) return;
    const joins = kind && kind === this.#kind && now - this.#when < JOIN_MS;
    [this.#kind, this.#when] = [kind, now];
    this.#values.length = this.#at + (joins ? 0 : 1);
    this.#at = this.#values.push(value) - 1;
    if (this.#values.length > MOST) [this.#values, this.#at] = [this.#values.slice(1), this.#at - 1];
  }

  get hasBefore() {
    return this.#at > 0;
  }

  // Go a step back, -1, or forward again, 1: the value there, undefined where there is none.
  step(by) {
    if (!(this.#at + by in this.#values)) return undefined;
    this.#kind = "";
    this.#at += by;
    return this.#values[this.#at];
  }
}
