/**
 * The matrix against the proto: an RPC that nobody attacks, or a row of one that is gone, is a
 * failure of its own, also where the matrix itself cannot run.
 */
import { expect, test } from 'vitest'
import { NAMES_NOTHING, NAMINGS } from '../support/adversary-matrix.js'
import { commandOf, missingVerbs, VERBS } from '../support/adversary-verbs.js'

test('every RPC that a VMM can call is in the matrix, or is attacked elsewhere', () => {
  expect(missingVerbs()).toEqual([])
})

test('every verb that can name another’s thing does so in the matrix', () => {
  const naming = new Set<string>([...NAMES_NOTHING, ...NAMINGS.map(({ verb }) => verb)])
  expect(VERBS.map(({ verb }) => verb).filter((verb) => !naming.has(verb))).toEqual([])
})

test('what is a command of a stream is sent on streams', () => {
  const off = VERBS.map(({ verb }) => verb).filter((verb) => commandOf(verb) === undefined)
  expect(off).toEqual([
    'CloseSession',
    'ResumeSession',
    'MapGuestMemory',
    'UnmapGuestMemory',
    'Ioctl',
    'CloseContainer',
  ])
})
