/** The selected training examples, by row number: every panel may read and change them. */

/** Fires "change" after each change. */
class Selection extends EventTarget {
  #rows = new Set();

  get size() {
    return this.#rows.size;
  }

  has(row) {
    return this.#rows.has(row);
  }

  /** Return the rows, ascending. */
  get rows() {
    return Int32Array.from(this.#rows).sort();
  }

  /** Select rows: "new" replaces the selection, "add" joins them to it, "remove" takes them away. */
  change(rows, how = "new") {
    if (how === "new") this.#rows.clear();
    for (const row of rows) {
      if (how === "remove") this.#rows.delete(row);
      else this.#rows.add(row);
    }
    this.dispatchEvent(new Event("change"));
  }

  /** Select a row, or take it away where it is selected. */
  toggle(row) {
    this.change([row], this.has(row) ? "remove" : "add");
  }

  clear() {
    if (this.size) this.change([]);
  }
}

/** The one selection of the page. */
export const selection = new Selection();
