/**
 * Tells what the set-up is doing: one updating line on a terminal, otherwise a line every 15
 * seconds. It writes to stderr only, so that the output of the command that follows stays clean.
 */
const LINE_EVERY_S = 15

const seconds = (since) => Math.round((Date.now() - since) / 1000)

/** Runs `work` while `describe()` names its present step. */
export async function withProgress(describe, work) {
  const started = Date.now()
  const out = process.stderr
  const tty = out.isTTY === true
  let said = -LINE_EVERY_S
  const tick = () => {
    const elapsed = seconds(started)
    if (tty) out.write(`\r\x1b[2Kset-up: ${describe()} (${elapsed} s)`)
    else if (elapsed - said >= LINE_EVERY_S) {
      said = elapsed
      out.write(`set-up: ${describe()} (${elapsed} s)\n`)
    }
  }
  tick()
  const timer = setInterval(tick, 1000)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if (tty) out.write('\r\x1b[2K')
  }
}

export function say(text) {
  process.stderr.write(`set-up: ${text}\n`)
}
