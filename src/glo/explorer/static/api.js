/** Requests to the server on this machine, and the numbers in its answers. */

/** What a person should read when a request fails: one sentence. */
export class ServerError extends Error {}

/** Fires "gone" when the server does not answer, and "back" when it does again. */
export const connection = new EventTarget();

const GONE = "The server does not answer. Start glo explore again and open the address it prints.";
let gone = false;

function note(isGone) {
  if (isGone === gone) return;
  gone = isGone;
  connection.dispatchEvent(new Event(isGone ? "gone" : "back"));
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    note(true);
    throw new ServerError(GONE);
  }
  note(false);
  if (!response.ok) throw new ServerError(await sentence(response));
  return response;
}

/** Return what the server says is wrong; it sends JSON, but a proxy or a crash may not. */
async function sentence(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text.length > 0 && text.length < 300 ? text : `The server answered ${response.status}.`;
  }
}

/** Return the JSON at `path`. */
export async function get(path) {
  return (await ask(path)).json();
}

/** Send a JSON body and return the JSON of the answer. */
export async function post(path, body) {
  return (await sendJson(path, body)).json();
}

/** Send raw numbers, float32 codes or int32 rows, and return the whole response. */
export function postRaw(path, numbers) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: numbers,
  });
}

function sendJson(path, body, signal) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/** Send a JSON body and yield the lines of the answer, each an object, as they come. */
export async function* streamJson(path, body, signal) {
  yield* objects(await sendJson(path, body, signal));
}

/** Send a file and yield the lines of the answer, each an object, as they come. */
export async function* streamFile(path, file, signal) {
  const headers = {
    "Content-Type": file.type || "application/octet-stream",
    "X-Name": encodeURIComponent(file.name ?? "picture"),
  };
  yield* objects(await ask(path, { method: "POST", headers, body: file, signal }));
}

/** Yield the objects of newline-delimited JSON; one of kind "error" is raised. */
async function* objects(response) {
  for await (const line of lines(response.body)) {
    const value = JSON.parse(line);
    if (value.kind === "error") throw new ServerError(value.error);
    yield value;
  }
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const found = (rest + part.value).split("\n");
      rest = found.pop();
      yield* found.filter((line) => line.trim());
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    note(true);
    throw new ServerError(GONE);
  }
  if (rest.trim()) yield rest;
}

/** Return the bytes of base64 text, Uint8Array. */
export function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Return the numbers of base64 text, Float32Array. */
export function floats(text) {
  return new Float32Array(bytes(text).buffer);
}

/** Return the whole numbers of base64 text, Int32Array. */
export function integers(text) {
  return new Int32Array(bytes(text).buffer);
}

/** Return the base64 text of a typed array. */
export function base64(array) {
  const view = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  // A call takes only so many arguments.
  for (let i = 0; i < view.length; i += 8192) {
    text += String.fromCharCode(...view.subarray(i, i + 8192));
  }
  return btoa(text);
}
