/** The ring of recorded faults, and the failures that can be ordered. */
import { describe, expect, test } from 'vitest'
import { FaultPlan, failureOf, type Effect } from '../../src/backend/emulator/fault-plan.js'
import { FaultRecords } from '../../src/backend/emulator/fault-records.js'
import type { LabFault } from '../../src/backend/lab.js'

function fault(more: Partial<LabFault> = {}): Omit<LabFault, 'sequence'> {
  const rights = { write: false, execute: false, privileged: false }
  const what = { reason: 0x71, name: 'FIRST_STAGE_ENTRY_NOT_PRESENT', address: 0x5000n }
  return { at: 1, device: 'a', target: 1, ...what, ...rights, ...more }
}

const numbers = (rows: readonly LabFault[]): number[] => rows.map(({ sequence }) => sequence)

describe('recorded faults', () => {
  test('are numbered from 1 and listed after a number, oldest first', () => {
    const records = new FaultRecords(4)
    for (const device of ['a', 'b', 'a']) records.record(fault({ device }))
    expect(records.list(0, 10, undefined).rows).toEqual([
      { ...fault(), sequence: 1 },
      { ...fault({ device: 'b' }), sequence: 2 },
      { ...fault(), sequence: 3 },
    ])
    expect(numbers(records.list(1, 10, undefined).rows)).toEqual([2, 3])
    expect(numbers(records.list(0, 10, 'a').rows)).toEqual([1, 3])
    expect(numbers(records.list(0, 1, 'b').rows)).toEqual([2])
    expect(records.list(3, 10, undefined)).toEqual({ rows: [], lost: 0 })
    expect(records.list(99, 10, undefined)).toEqual({ rows: [], lost: 0 })
  })

  test('beyond what is kept the oldest are lost, and a reader is told how many it missed', () => {
    const records = new FaultRecords(4)
    for (let i = 0; i < 4; i += 1) records.record(fault())
    expect([records.count, records.lost]).toEqual([4, 0])
    for (let i = 0; i < 3; i += 1) records.record(fault())
    expect([records.count, records.lost]).toEqual([7, 3])
    const all = records.list(0, 10, undefined)
    expect([numbers(all.rows), all.lost]).toEqual([[4, 5, 6, 7], 3])
    expect(records.list(2, 1, undefined).lost).toBe(1)
    expect(records.list(3, 10, undefined).lost).toBe(0)
  })

  test('are told to whoever watches, until it stops, twice to who watches twice', () => {
    const records = new FaultRecords(2)
    const seen: number[] = []
    const watcher = ({ sequence }: LabFault): void => void seen.push(sequence)
    const ends = [records.watch(watcher), records.watch(watcher)]
    records.record(fault())
    ends[0]?.()
    records.record(fault())
    ends[1]?.()
    records.record(fault())
    expect(seen).toEqual([1, 1, 2])
  })
})

describe('ordered failures', () => {
  const kinds = (plan: FaultPlan, effects: readonly Effect[]): (string | undefined)[] => {
    return effects.map((effect) => plan.take(effect, 'START', 'dev')?.kind)
  }

  test('fail the effects they were ordered for, after those they skip, so many times', () => {
    const plan = new FaultPlan()
    plan.inject(failureOf({ kind: 'RETRY', times: 2, effect: 'bind', skip: 1 }))
    expect(kinds(plan, ['bind', 'unbind', 'bind', 'bind', 'bind'])).toEqual([
      undefined,
      undefined,
      'RETRY',
      'RETRY',
      undefined,
    ])
  })

  test('after the teardown of a replace are met there only', () => {
    const plan = new FaultPlan()
    plan.inject(failureOf({ kind: 'REFUSE', times: 1, at: 'SET_UP' }))
    expect(kinds(plan, ['replace'])).toEqual([undefined])
    expect(plan.take('replace', 'SET_UP', 'dev')?.kind).toBe('REFUSE')
  })

  test('make effects slow, so many or until cleared, beside those that fail', () => {
    const plan = new FaultPlan()
    const slow = { kind: 'SLOW', effect: undefined, skip: 0 } as const
    plan.inject({ ...slow, ms: 5, effect: 'bind', times: 2, skip: 1 })
    plan.inject(failureOf({ kind: 'RETRY', times: 1 }))
    const delays = (): number[] => [1, 2, 3, 4].map(() => plan.delay('bind'))
    expect([plan.delay('unbind'), ...delays()]).toEqual([0, 0, 5, 5, 0])
    plan.inject({ ...slow, ms: 7, times: 0 })
    expect(delays()).toEqual([7, 7, 7, 7])
    expect(kinds(plan, ['bind', 'bind'])).toEqual(['RETRY', undefined])
    plan.clear()
    expect(delays()).toEqual([0, 0, 0, 0])
  })

  test('of a dead device are every effect, at either half, until cleared', () => {
    const plan = new FaultPlan()
    plan.inject({ kind: 'DEAD' })
    expect(kinds(plan, ['bind', 'respond', 'detachDevice'])).toEqual(['STOP', 'STOP', 'STOP'])
    expect(plan.take('replace', 'SET_UP', 'dev')?.message).toBe('dev is dead')
    expect(plan.dead).toBe(true)
    plan.clear()
    expect([plan.dead, ...kinds(plan, ['bind'])]).toEqual([false, undefined])
  })
})
