/** The recording, and the excerpt of it that the project carries. */
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { excerptOf } from '../../demo/make-excerpt.js'
import { KINDS } from '../../demo/plan.js'
import {
  EXCERPT,
  FULL_RECORDING,
  openRecording,
  packageRoot,
  parseLines,
  readLines,
} from '../../demo/recording.js'

const ROOT = packageRoot()

test('the excerpt has every type of descriptor, and no domain that is not bound', () => {
  const descriptors = parseLines(readLines(path.join(ROOT, EXCERPT)))
  const kinds = new Set(descriptors.map(({ kind }) => kind))
  expect([...kinds].sort()).toEqual([...KINDS].sort())
  expect(descriptors.length).toBe(4000)
})

test('the excerpt is what make-excerpt makes of the full recording', (ctx) => {
  const full = path.resolve(ROOT, FULL_RECORDING)
  if (!fs.existsSync(full)) return ctx.skip('the full recording is not on this host')
  const lines = readLines(full)
  expect(readLines(path.join(ROOT, EXCERPT))).toEqual(excerptOf(lines))
  const counts = KINDS.map((kind) => parseLines(lines).filter((one) => one.kind === kind).length)
  // As the recording's README says.
  expect(counts).toEqual([7, 7, 24, 61_704, 61_659, 7])
})

test('without the full recording the excerpt is used', () => {
  const { isExcerpt, descriptors } = openRecording(ROOT)
  expect(descriptors.length > 4000).toBe(!isExcerpt)
})

test('a short recording is its own excerpt', () => {
  expect(excerptOf(['4 0', '4 0'])).toEqual(['4 0', '4 0'])
})
