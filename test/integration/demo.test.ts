/** The demo's tour, with a short queue: a daemon, its sockets, both runs and the comparison. */
import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { disagreements } from '../../demo/agreement.js'
import { EXCERPT, packageRoot, parseLines, readLines } from '../../demo/recording.js'
import { runTour, type TourOptions } from '../../demo/tour.js'

function quiet(): { readonly said: string[]; readonly options: Omit<TourOptions, 'descriptors'> } {
  const said: string[] = []
  const watch = () => ({ update: () => undefined, end: () => undefined })
  return { said, options: { say: (text) => said.push(text), watch } }
}

test('the excerpt is answered whole, both ways, and all agree', async () => {
  const descriptors = parseLines(readLines(path.join(packageRoot(), EXCERPT)))
  const { said, options } = quiet()
  const { runs, problems } = await runTour({ ...options, descriptors })
  expect(problems).toEqual([])
  expect(runs.map(({ tally }) => [tally.ended, tally.total('refused')])).toEqual([
    [4000, 0],
    [4000, 0],
  ])
  const text = said.join('\n')
  expect(text).toContain('Check: consistent')
  expect(text).toContain("guests 8, operator's list 8, emulator 8, ledger on disk 8")
  const socket = /serves on (\S+)\/vmm\/pasid.sock/.exec(text)?.[1] ?? ''
  expect(socket).not.toBe('')
  expect(fs.existsSync(socket)).toBe(false)
})

test('descriptors of a domain that is not bound yet are answered too', async () => {
  const { options } = quiet()
  const descriptors = parseLines(['20026 0', '20036 1040', '25 2069c04', '20017 0', '20036 1040'])
  const { runs, problems } = await runTour({ ...options, descriptors })
  expect(problems).toEqual([])
  expect(runs.map(({ tally }) => tally.of('pasid-iotlb', 'answered'))).toEqual([3, 3])
})

test('a binding that only one of two knows is a disagreement, told from both sides', () => {
  const first = { who: 'list', bindings: ['a', 'b'] }
  expect(disagreements(first, [{ who: 'same', bindings: ['a', 'b'] }])).toEqual([])
  expect(disagreements(first, [{ who: 'ledger', bindings: ['b', 'c'] }])).toEqual([
    'list only, not ledger: a',
    'ledger only, not list: c',
  ])
})
