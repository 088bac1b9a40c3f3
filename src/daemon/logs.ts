/**
 * The log: one JSON object a line on stdout, or a short line for people when that is a terminal.
 * Holds: a reader that is gone or stalls neither ends nor blocks the daemon; lines are dropped
 * then.
 */

import fs from 'node:fs'
import { pino, stdSerializers, stdTimeFunctions, type Logger } from 'pino'
import type { LogLevel } from './config/config.js'

/** Bytes that wait for a slow reader; what is beyond is lost. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024
const STDOUT = 1

/** Where lines go; tests collect them. */
export interface LogSink {
  write(line: string): void
}

export interface Logs {
  readonly log: Logger
  /** Writes out what waits; for the last lines before the process ends. */
  readonly flush: () => void
}

interface Line {
  readonly level: string
  readonly time: string
  readonly msg?: string
  readonly err?: { readonly message?: string; readonly stack?: string }
}

/** `12:00:00 warn  message key=value` */
export function humanLine(json: string): string {
  const { level, time, msg = '', err, ...fields } = JSON.parse(json) as Line & { pid?: number }
  delete fields.pid
  const pairs = Object.entries(fields).map(([key, value]) => {
    return ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`
  })
  const trace = err === undefined ? '' : `\n  ${err.stack ?? err.message ?? ''}`
  return `${time.slice(11, 19)} ${level.padEnd(5)} ${msg}${pairs.join('')}${trace}\n`
}

function standardOutput(): { readonly sink: LogSink; readonly flush: () => void } {
  if (fs.fstatSync(STDOUT).isCharacterDevice() && process.stdout.isTTY) {
    const write = (line: string) => void process.stdout.write(humanLine(line))
    return { sink: { write }, flush: () => undefined }
  }
  const sink = pino.destination({ dest: STDOUT, sync: false, maxLength: WAITING_BYTES_MAX })
  // EPIPE: whoever read the log is gone. The daemon serves on.
  sink.on('error', () => undefined)
  const flush = () => {
    try {
      sink.flushSync()
    } catch {
      // Nothing can be said any more.
    }
  }
  return { sink, flush }
}

export function openLogs(options: {
  readonly level: LogLevel
  readonly sink?: LogSink | undefined
}): Logs {
  const { sink, flush } =
    options.sink === undefined ? standardOutput() : { sink: options.sink, flush: () => undefined }
  const log = pino(
    {
      level: options.level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.err },
    },
    sink,
  )
  return { log, flush }
}
