/**
 * Every case of the table against a running daemon; the table against its numbers and its document.
 */

import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADDED_CASES } from './added.js'
import { DEVICE, LIFECYCLE } from './lifecycle.js'
import { NESTING } from './nesting.js'
import { PASIDS } from './pasid.js'
import { documentOf, numbersDue } from './table.js'
import { World } from './world.js'

const CHAPTERS = [PASIDS, NESTING, LIFECYCLE, DEVICE, ADDED_CASES]
const DOCUMENT = path.resolve(import.meta.dirname, '../../docs/CONFORMANCE.md')

let world: World

beforeAll(async () => {
  world = await World.start()
})
afterAll(() => world.stop())

test('every number is in the table exactly once, in order', () => {
  const numbers = CHAPTERS.flatMap(({ cases }) => cases.map(({ number }) => number))
  expect(numbers).toEqual(numbersDue(ADDED_CASES.cases.length))
})

test('the document is the table', async () => {
  await expect(documentOf(CHAPTERS)).toMatchFileSnapshot(DOCUMENT)
})

for (const { title, cases } of CHAPTERS) {
  describe(title, () => {
    for (const one of cases) {
      if ('why' in one) continue
      test(`${one.number}: ${one.upstream}`, async () => {
        try {
          expect(await one.run(world)).toEqual(one.outcome)
        } finally {
          expect(await world.cleanUp()).toEqual([])
        }
      })
    }
  })
}
