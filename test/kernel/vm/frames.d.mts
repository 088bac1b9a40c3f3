/** The types of frames.mjs, which the guest runs as it is. */
export function frame(bytes: Uint8Array): Buffer
export class Frames {
  constructor(onMessage: (bytes: Buffer) => void)
  add(chunk: Buffer): void
}
