#!/usr/bin/env node
/** `pasidctl`: the operator's command line. What it can do is in program.ts. */

import { Output } from './output.js'
import { runProgram } from './program.js'
import type { Terminal } from './terminal.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

const terminal: Terminal = {
  input: process.stdin,
  messages: process.stderr,
  onInterrupt(listener) {
    for (const signal of SIGNALS) process.once(signal, listener)
    return () => {
      for (const signal of SIGNALS) process.off(signal, listener)
    }
  },
}

const output = new Output(process.stdout)
process.exitCode = await runProgram(process.argv.slice(2), { output, terminal })
await output.finish()
