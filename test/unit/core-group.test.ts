/** IOMMU groups: one owner, one table for a target, and a replace that takes all of them along. */

import { describe, expect, test } from 'vitest'
import type { Table } from '../../src/core/binding.js'
import type { BindPasid } from '../../src/core/commands.js'
import type { DeviceFacts } from '../../src/core/device.js'
import { domainId, RID, target } from '../../src/core/ids.js'
import { completions, verbs } from '../../src/core/machine.js'
import { World, codeOf, device, policy } from '../support/core-world.js'

const TABLE: Table = {
  kind: 'FIRST_STAGE',
  address: 4096,
  width: 48,
  supervisor: false,
  writeProtect: false,
  extendedAccessed: false,
}
const OTHER: Table = { ...TABLE, address: 8192 }
const member = { shared: false, group: 'g' } as const
const AT = target(300)

function vtd(cap: bigint, ecap: bigint): DeviceFacts['registers'] {
  return { platform: 'INTEL_VTD', cap, ecap }
}

class Desk {
  readonly world = new World(policy(), [
    device('a', 'HOST', member),
    device('b', 'HOST', member),
    device('narrow', 'HOST', { ...member, group: 'h', pasidBits: 8, addressWidths: [48] }),
    device('wide', 'HOST', { ...member, group: 'h' }),
    device('plain', 'HOST', { ...member, group: 'h', pasidBits: 0 }),
    device('old', 'HOST', { shared: false, registers: vtd(0n, 1n << 26n) }),
    device('flat', 'HOST', { shared: false, registers: vtd(1n << 60n, 0n) }),
    device('full', 'HOST', {
      shared: false,
      registers: vtd(1n << 60n, (1n << 26n) | (1n << 31n) | (1n << 34n)),
    }),
  ])
  readonly session = this.world.open()

  attach(...names: string[]): this {
    for (const name of names) this.world.attach(this.session, name)
    return this
  }

  bind(devices: readonly string[], rest: Partial<BindPasid> = {}) {
    const asked = {
      verb: 'bind',
      session: this.session,
      devices,
      target: AT,
      table: TABLE,
    } as const
    const command = { ...asked, domain: domainId(1), guestPasid: undefined, replace: false }
    return verbs.bind(this.world.state, { ...command, ...rest })
  }

  bound(devices: readonly string[], rest: Partial<BindPasid> = {}): readonly string[] {
    const { state } = this.world
    const { steps } = this.world.take(this.bind(devices, rest))
    for (const step of steps) this.world.apply(completions.completeBind(state, step, 'BOUND'))
    return steps.map((step) => step.device.name)
  }

  at(name: string, place = AT) {
    return this.world.state.bindingAt(this.world.deviceId(name), place)
  }
}

describe('a group', () => {
  test('has one owner: another session gets none of its devices', () => {
    const desk = new Desk().attach('a')
    const other = desk.world.open()
    const attach = (name: string) => {
      const command = { verb: 'attach-device', session: other, device: name } as const
      return verbs.attachDevice(
        desk.world.state,
        { ...command, request: undefined },
        desk.world.now,
      )
    }
    for (const name of ['a', 'b']) {
      const told = { kind: 'refused', refusal: { code: 'DEVICE_IN_USE', device: name } }
      expect(attach(name)).toEqual(told)
    }
    expect(codeOf(attach('old'))).toBe('accepted')
    desk.attach('b')
    expect(desk.bound(['a', 'b'], { target: RID })).toEqual(['a', 'b'])
  })

  test('takes the same table through each device, and no other table or domain', () => {
    const desk = new Desk().attach('a', 'b')
    desk.world.hold(desk.session, [300])
    desk.bound(['a'])
    const no = { code: 'GROUP_TABLE_MISMATCH', device: 'b', target: 300, group: 'g', other: 'a' }
    expect(desk.bind(['b'], { table: OTHER })).toEqual({ kind: 'refused', refusal: no })
    expect(desk.bind(['b'], { domain: domainId(2) })).toEqual({ kind: 'refused', refusal: no })
    expect(desk.bound(['b'])).toEqual(['b'])
    desk.bound(['a'], { target: RID })
    const rid = desk.bind(['b'], { target: RID, table: { kind: 'PASS_THROUGH' } })
    expect(rid).toEqual({ kind: 'refused', refusal: { ...no, target: 0 } })
  })

  test('is replaced as a whole, through a device by which it is bound', () => {
    const desk = new Desk().attach('a', 'b')
    desk.world.hold(desk.session, [300])
    desk.bound(['a'])
    expect(codeOf(desk.bind(['b'], { replace: true, table: OTHER }))).toBe('NOT_BOUND')
    desk.bound(['b'], { guestPasid: undefined })
    const change = { replace: true, table: OTHER, domain: domainId(9) }
    const { steps } = desk.world.take(desk.bind(['b'], change))
    expect(steps.map((step) => step.device.name)).toEqual(['b', 'a'])
    for (const step of steps) {
      desk.world.apply(completions.completeBind(desk.world.state, step, 'RESTORED'))
    }
    for (const name of ['a', 'b']) expect(desk.at(name)).toMatchObject({ table: TABLE, domain: 1 })
    desk.bound(['a'], change)
    for (const name of ['a', 'b']) {
      expect(desk.at(name)).toMatchObject({ table: OTHER, domain: 9, state: 'BOUND' })
    }
  })

  test('needs of every device what the entry needs; those without PASIDs only for the RID', () => {
    const desk = new Desk()
    desk.world.hold(desk.session, [300, 200])
    desk.attach('wide')
    expect(codeOf(desk.world.ask(desk.session, [400]))).not.toBe('accepted')
    desk.attach('plain')
    const beyond = { code: 'PASID_BEYOND_DEVICE_WIDTH', pasid: 300, device: 'narrow', widthBits: 8 }
    expect(desk.bind(['wide'])).toEqual({ kind: 'refused', refusal: beyond })
    const wide = { target: target(200), table: { ...TABLE, width: 57 } } as const
    expect(desk.bind(['wide'], wide)).toMatchObject({
      refusal: { code: 'TABLE_UNSUPPORTED', device: 'narrow', value: '57' },
    })
    expect(desk.bound(['wide'], { target: target(200) })).toEqual(['wide'])
    expect(desk.bind(['plain'], { target: target(200) })).toMatchObject({
      refusal: { code: 'PASID_BEYOND_DEVICE_WIDTH', device: 'plain', widthBits: 0 },
    })
    expect(desk.bound(['plain'], { target: RID })).toEqual(['plain'])
  })
})

describe('registers', () => {
  const flags = { supervisor: true, extendedAccessed: true } as const

  test.each<readonly [string, Partial<Extract<Table, { kind: 'FIRST_STAGE' }>>, string]>([
    ['old', { width: 57 }, 'address_width'],
    ['old', { supervisor: true }, 'supervisor'],
    ['old', { extendedAccessed: true }, 'extended_accessed'],
    ['flat', {}, 'address_width'],
    ['full', { writeProtect: true }, 'write_protect'],
  ])('of %s deny a table with %j', (name, more, field) => {
    const desk = new Desk().attach(name)
    const refused = desk.bind([name], { target: RID, table: { ...TABLE, ...more } })
    expect(refused).toMatchObject({
      refusal: { code: 'TABLE_UNSUPPORTED', device: name, field: `table.first_stage.${field}` },
    })
  })

  test('that have everything take everything', () => {
    const desk = new Desk().attach('full', 'old')
    const table = { ...TABLE, ...flags, writeProtect: true, width: 57 } as const
    expect(desk.bound(['full'], { target: RID, table })).toEqual(['full'])
    expect(desk.bound(['old'], { target: RID })).toEqual(['old'])
  })
})
