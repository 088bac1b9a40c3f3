/**
 * Makes the excerpt of the recording that the project carries: the start of the queue up to
 * HEAD_LINES, which holds the whole set-up of the guest's domains, and its last TAIL_LINES, with
 * the end of its work. What lies between is more of the same. Run it when the recording changes:
 * node scripts/with-setup.mjs demo/make-excerpt.ts
 */

import fs from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { EXCERPT, FULL_RECORDING, packageRoot, readLines } from './recording.js'

const HEAD_LINES = 3000
const TAIL_LINES = 1000

export function excerptOf(lines: readonly string[]): string[] {
  if (lines.length <= HEAD_LINES + TAIL_LINES) return [...lines]
  return [...lines.slice(0, HEAD_LINES), ...lines.slice(-TAIL_LINES)]
}

function makeExcerpt(root: string): void {
  const lines = excerptOf(readLines(path.resolve(root, FULL_RECORDING)))
  const file = path.join(root, EXCERPT)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, gzipSync(`${lines.join('\n')}\n`, { level: 9 }))
  process.stdout.write(`${EXCERPT}: ${lines.length} descriptors\n`)
}

if (import.meta.filename === process.argv[1]) makeExcerpt(packageRoot())
