/** How far a run is: a bar on a terminal, a line every so often elsewhere. */

import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  update(done: number): void
  end(): void
}

/** Between two lines in a log. */
const LINE_MS = 2000

export function startProgress(name: string, total: number, out: NodeJS.WriteStream): Progress {
  return out.isTTY ? bar(name, total, out) : lines(name, total, out)
}

function bar(name: string, total: number, stream: NodeJS.WriteStream): Progress {
  const format = `${name} {bar} {percentage} % | {value} of {total} | {eta} s left`
  const one = new SingleBar({ format, stream, hideCursor: true }, Presets.shades_classic)
  one.start(total, 0)
  return { update: (done) => one.update(done), end: () => one.stop() }
}

function lines(name: string, total: number, out: NodeJS.WriteStream): Progress {
  let saidAt = performance.now()
  const update = (done: number): void => {
    const now = performance.now()
    if (now - saidAt < LINE_MS) return
    saidAt = now
    out.write(`${name}: ${done} of ${total}\n`)
  }
  return { update, end: () => undefined }
}
