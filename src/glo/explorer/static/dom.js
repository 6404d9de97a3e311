/** Elements, sentences and numbers of the page. */

/** Return the element with that id. */
export const $ = (id) => document.getElementById(id);

/** Make an element: attributes (`class`, `on...` functions, others as they are), then children. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children);
  return made;
}

/** Tell a screen reader something, politely. */
export function say(text) {
  $("said").textContent = text;
}

let hiding = 0;

/** Show a sentence about what went wrong, for a while or until it is closed. */
export function complain(error) {
  if (error?.name === "AbortError") return;
  $("complaint-text").textContent = error?.message ?? String(error);
  $("complaint").hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => ($("complaint").hidden = true), 12000);
}

/** Return `work` as a function that shows what it raises. */
export function guard(work) {
  return async (...given) => {
    try {
      return await work(...given);
    } catch (error) {
      complain(error);
      return undefined;
    }
  };
}

/** Return a function that runs `work` once calls have stopped for some milliseconds. */
export function later(work, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

/** Show one of the children of `parent` that have data-when, and hide the others. */
export function showWhen(parent, name) {
  for (const child of parent.querySelectorAll(":scope > [data-when]")) {
    child.hidden = !child.dataset.when.split(" ").includes(name);
  }
}

/** Return a whole number with thin spaces: 60 000. */
export function whole(number) {
  return Math.round(number).toLocaleString("en").replaceAll(",", "\u202f");
}

/** Return a number with three digits that count. */
export function short(number) {
  if (number === null || number === undefined || !Number.isFinite(number)) return "none";
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size < 1e-3 || size >= 1e5) return number.toExponential(1).replace(".0e", "e");
  return String(Number(number.toPrecision(3)));
}

const colours = new Map();
document.addEventListener("themechange", () => colours.clear());

/** Return the resolved colour of a custom property of the style sheet, such as "--ink". */
export function colour(name) {
  if (!colours.has(name)) {
    $("probe").style.color = `var(${name})`;
    colours.set(name, getComputedStyle($("probe")).color);
  }
  return colours.get(name);
}

/** Write a text where it differs: writing the same again makes the browser lay out again. */
export function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/** Whether the person asked for less motion. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
