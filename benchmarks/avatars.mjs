// Draw faces of DiceBear's collection "adventurer": one line of options in JSON on the standard
// input, one square of RGBA pixels on the standard output. The only argument is the side.
//
// It is run by avatars.py in the folder of the npm packages.

import { once } from "node:events";
import { createInterface } from "node:readline";

import * as adventurer from "@dicebear/adventurer";
import { createAvatar } from "@dicebear/core";
import { Resvg } from "@resvg/resvg-js";

const fitTo = { mode: "width", value: Number(process.argv.at(-1)) };

for await (const line of createInterface({ input: process.stdin })) {
  const drawing = createAvatar(adventurer, JSON.parse(line)).toString();
  const { pixels } = new Resvg(drawing, { fitTo, background: "white" }).render();
  if (!process.stdout.write(pixels)) await once(process.stdout, "drain");
}
