/** Bindings: making them, taking them down, and what is seen of them. */

import type { BoundPasid } from '../../broker/answers.js'
import type { Table } from '../../core/binding.js'
import type { BindPasid, UnbindPasids } from '../../core/commands.js'
import { RID, type SessionId, type Target } from '../../core/ids.js'
import { DEVICES_PER_CALL_MAX } from '../../core/limits.js'
import type { Outcome } from '../../core/refusal.js'
import type { BindingView } from '../../core/view.js'
import type { Binding } from '../../wire/generated/pasid/v1/Binding.js'
import type { FirstStageTable__Output } from '../../wire/generated/pasid/v1/FirstStageTable.js'
import type { VmmRequest, VmmResponse } from '../../wire/messages.js'
import { Fields } from './fields.js'

/** VT-d FLPTPTR: bits 51:12. */
const TABLE_ADDRESS_ABOVE = 2 ** 52
const PAGE = 4096
const PASS_THROUGH: Table = { kind: 'PASS_THROUGH' }
const ALL: UnbindPasids['what'] = { kind: 'ALL' }

/** A oneof `target`, as several messages have it. */
interface TargetFields {
  readonly target?: 'pasid' | 'rid'
  readonly pasid?: number
  readonly rid?: boolean
}

/** `at` is where the oneof stands: empty, or a path that ends in a dot. */
export function targetOf(fields: Fields, at: string, message: TargetFields): Target {
  if (message.pasid !== undefined) {
    return fields.pasid(`${at}pasid`, message.pasid) as number as Target
  }
  if (message.rid === undefined) fields.missing(`${at}target`, 'one of pasid, rid')
  else if (!message.rid) fields.no(`${at}rid`, 'false', 'true', 'set it to true, or name a pasid')
  return RID
}

export function bindOf(session: SessionId, message: VmmRequest<'BindPasid'>): Outcome<BindPasid> {
  const fields = new Fields()
  const target = targetOf(fields, '', message)
  if (message.devices.length === 0)
    fields.missing('devices', `1 to ${DEVICES_PER_CALL_MAX} devices`)
  const devices = fields.devices('devices', message.devices, DEVICES_PER_CALL_MAX)
  const { guestPasid } = message
  if (guestPasid !== undefined && target === RID) {
    fields.no('guest_pasid', String(guestPasid), 'nothing with rid', 'leave it out')
  }
  return fields.answer({
    verb: 'bind',
    session,
    target,
    devices,
    table: tableOf(fields, message),
    domain: fields.domain('domain', message.domain),
    guestPasid: guestPasid === undefined ? undefined : fields.pasid('guest_pasid', guestPasid),
    replace: message.replace,
  })
}

function tableOf(fields: Fields, message: VmmRequest<'BindPasid'>): Table {
  const { firstStage } = message
  if (firstStage) return firstStageOf(fields, firstStage)
  if (message.table !== 'passThrough') fields.missing('table', 'one of first_stage, pass_through')
  return PASS_THROUGH
}

function firstStageOf(fields: Fields, message: FirstStageTable__Output): Table {
  const address = Number(message.address)
  if (address % PAGE !== 0 || address >= TABLE_ADDRESS_ABOVE) {
    const bound = `a multiple of ${PAGE} below 2^52`
    const remedy = 'send the guest-physical address of the top-level table'
    fields.no('first_stage.address', message.address, bound, remedy)
  }
  const width = message.addressWidth
  if (width !== 48 && width !== 57) {
    const remedy = 'name the width the guest uses'
    fields.no('first_stage.address_width', String(width), '48 or 57', remedy)
  }
  if (message.writeProtect && !message.supervisor) {
    const remedy = 'set supervisor too, or leave it out'
    fields.no('first_stage.write_protect', 'true', 'false without supervisor', remedy)
  }
  return {
    kind: 'FIRST_STAGE',
    address,
    width: width === 57 ? 57 : 48,
    supervisor: message.supervisor,
    writeProtect: message.writeProtect,
    extendedAccessed: message.extendedAccessed,
  }
}

export function boundProto({ revision, hwpts }: BoundPasid): VmmResponse<'BindPasid'> {
  const devices = hwpts.map(({ device, hwpt }) => ({ device: `devices/${device}`, hwptId: hwpt }))
  return { revision, devices }
}

export function unbindOf(
  session: SessionId,
  message: VmmRequest<'UnbindPasids'>,
): Outcome<UnbindPasids> {
  const fields = new Fields()
  return fields.answer({ verb: 'unbind', session, what: whatOf(fields, message) })
}

function whatOf(fields: Fields, message: VmmRequest<'UnbindPasids'>): UnbindPasids['what'] {
  if (message.what === 'target') {
    const target = targetOf(fields, 'target.', message.target ?? {})
    const devices = message.target?.devices ?? []
    const names = fields.devices('target.devices', devices, DEVICES_PER_CALL_MAX)
    return { kind: 'TARGET', target, devices: names }
  }
  if (message.what === 'device') {
    return { kind: 'DEVICE', device: fields.name('device', message.device ?? '', 'devices') }
  }
  if (message.what !== 'all') fields.missing('what', 'one of target, device, all')
  return ALL
}

const STATES = {
  BINDING: 'BINDING_STATE_BINDING',
  BOUND: 'BINDING_STATE_BOUND',
  UNBINDING: 'BINDING_STATE_UNBINDING',
  LOST: 'BINDING_STATE_LOST',
} as const

export function bindingProto({ device, binding }: BindingView): Binding {
  const { target, table, domain, guestPasid, state, cause } = binding
  return {
    device: `devices/${device}`,
    ...(target === RID ? { rid: true } : { pasid: target }),
    ...(table.kind === 'PASS_THROUGH' ? { passThrough: {} } : { firstStage: tableProto(table) }),
    domain,
    guestPasid: guestPasid ?? 0,
    state: STATES[state],
    cause,
  }
}

function tableProto(table: Extract<Table, { kind: 'FIRST_STAGE' }>) {
  const { address, width, supervisor, writeProtect, extendedAccessed } = table
  return { address, addressWidth: width, supervisor, writeProtect, extendedAccessed }
}
