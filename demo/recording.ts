/**
 * The recorded invalidation queue: where it lies, and reading it. The full recording is beside the
 * repository and may be missing; the excerpt in demo/data/ is always there. make-excerpt.ts made
 * it.
 */

import fs from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { DescriptorFault, parseDescriptor, type Descriptor } from './descriptors.js'

/** Below the package's root. */
export const FULL_RECORDING = '../shared/data/vtd-guest-queue.txt.gz'
export const EXCERPT = 'demo/data/vtd-guest-queue-excerpt.txt.gz'

/** The full recording has 2 MB; more than this is something else. */
const RECORDING_BYTES_MAX = 256 * 1024 * 1024

export interface Recording {
  readonly file: string
  /** Only a part of what the guest did. */
  readonly isExcerpt: boolean
  readonly descriptors: readonly Descriptor[]
}

/** The folder with package.json: this file runs as demo/ and as build/demo/. */
export function packageRoot(from: string = import.meta.dirname): string {
  let folder = from
  while (!fs.existsSync(path.join(folder, 'package.json'))) {
    const above = path.dirname(folder)
    if (above === folder) throw new Error(`no package.json above ${from}`)
    folder = above
  }
  return folder
}

/** @throws DescriptorFault with the number of the line */
export function openRecording(root: string = packageRoot()): Recording {
  const full = path.resolve(root, FULL_RECORDING)
  const isExcerpt = !fs.existsSync(full)
  const file = isExcerpt ? path.join(root, EXCERPT) : full
  return { file, isExcerpt, descriptors: parseLines(readLines(file)) }
}

/** @throws DescriptorFault with the number of the line */
export function parseLines(lines: readonly string[]): Descriptor[] {
  return lines.map((line, index) => {
    try {
      return parseDescriptor(line)
    } catch (fault) {
      if (!(fault instanceof DescriptorFault)) throw fault
      throw new DescriptorFault(`line ${index + 1}: ${fault.message}`, { cause: fault })
    }
  })
}

export function readLines(file: string): string[] {
  const text = gunzipSync(fs.readFileSync(file), { maxOutputLength: RECORDING_BYTES_MAX })
  const lines = text.toString('ascii').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}
