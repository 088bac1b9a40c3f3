/** `pasidctl` in this process: the whole program, with streams that the test holds. */
import { PassThrough } from 'node:stream'
import { Output } from '../../src/cli/output.js'
import { runProgram } from '../../src/cli/program.js'

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliSurroundings {
  /** A person at a terminal, who types this at once. Undefined: no terminal. */
  readonly typed?: string | undefined
  /** Called with what ends a watch, as Ctrl-C does. */
  readonly onStart?: ((interrupt: () => void) => void) | undefined
  /** Each piece of stdout as it comes. */
  readonly onOutput?: ((text: string) => void) | undefined
}

function kept(isTTY: boolean, onText: (text: string) => void = () => undefined) {
  const stream = Object.assign(new PassThrough(), { isTTY })
  const texts: string[] = []
  stream.on('data', (chunk: Buffer) => {
    texts.push(String(chunk))
    onText(String(chunk))
  })
  return { stream, text: () => texts.join('') }
}

export async function runCli(
  socket: string,
  argv: readonly string[],
  { typed, onStart, onOutput }: CliSurroundings = {},
): Promise<CliResult> {
  const out = kept(false, onOutput)
  const messages = kept(typed !== undefined)
  const input = Object.assign(new PassThrough(), { isTTY: typed !== undefined })
  if (typed !== undefined) input.end(typed)
  const output = new Output(out.stream, { LANG: 'C.UTF-8' })
  const listeners = new Set<() => void>()
  const terminal = {
    input,
    messages: messages.stream,
    onInterrupt(listener: () => void) {
      listeners.add(listener)
      onStart?.(listener)
      return () => listeners.delete(listener)
    },
  }
  const code = await runProgram(['--socket', socket, ...argv], { output, terminal })
  await output.finish()
  // What was written is read in a later turn.
  await new Promise((resolve) => setImmediate(resolve))
  return { code, stdout: out.text(), stderr: messages.text() }
}
