/** `watch`: durable changes as they come, until Ctrl-C. */

import type { Command } from 'commander'
import type { WatchResponse } from '../../client/index.js'
import { CliFailure, EXIT } from '../exits.js'
import { jsonText } from '../json.js'
import type { Output } from '../output.js'
import type { Does } from '../perform.js'
import { parseRevision, type Work } from '../settings.js'
import { watchLines } from '../watch-lines.js'

interface WatchOptions {
  readonly from?: string
}

async function writeResponse(output: Output, response: WatchResponse): Promise<void> {
  const { lines, isResync } = watchLines(response)
  const shown = isResync ? lines.map((line) => output.colors.yellow(line)) : lines
  await output.write(shown.map((line) => `${line}\n`).join(''))
}

async function watch(work: Work, { from }: WatchOptions): Promise<void> {
  const { client, output, format, terminal } = work
  const stream = client.watch({ fromRevision: from })
  const person = { wantsEnd: false }
  const forget = terminal.onInterrupt(() => {
    person.wantsEnd = true
    stream.cancel()
  })
  try {
    for await (const response of stream) {
      if (format === 'json') await output.write(`${jsonText(response)}\n`)
      else await writeResponse(output, response)
    }
  } finally {
    forget()
  }
  if (!person.wantsEnd) throw new CliFailure('the daemon ended the watch', EXIT.UNAVAILABLE)
}

export function addWatch(root: Command, does: Does): void {
  root
    .command('watch')
    .description('changes as they come, one line each (-o json: one message of the API a line)')
    .option(
      '--from <revision>',
      'what came after this revision too, as far as it is kept; else RESYNC comes first',
      parseRevision,
    )
    .action(does((work, options: WatchOptions) => watch(work, options)))
}
