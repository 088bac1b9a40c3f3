/** Devices: letting go of them, and what is seen of one; attach.ts has the attaching. */

import type { ListedDevice } from '../../broker/answers.js'
import type { DetachDevice } from '../../core/commands.js'
import type { DeviceFacts } from '../../core/device.js'
import type { SessionId } from '../../core/ids.js'
import type { Outcome } from '../../core/refusal.js'
import type { DeviceView } from '../../core/view.js'
import type { Device } from '../../wire/generated/pasid/v1/Device.js'
import { hwInfoOf } from '../../uapi/hw-info.js'
import { Fields } from './fields.js'
import { hwInfoProto } from './hw-info.js'
import { requestKey } from './request-key.js'
import { scopeProto } from './scope.js'

interface DeviceAsked {
  readonly device: string
  readonly requestId: string
}

export function detachOf(session: SessionId, message: DeviceAsked): Outcome<DetachDevice> {
  const fields = new Fields()
  const device = fields.name('device', message.device, 'devices')
  const request = requestKey(fields, message.requestId, { device })
  return fields.answer({ verb: 'detach-device', session, device, request })
}

const TRANSLATIONS = {
  NONE: 'PASID_TRANSLATION_NONE',
  MEDIATED: 'PASID_TRANSLATION_MEDIATED',
} as const

const PLATFORMS = {
  INTEL_VTD: 'PLATFORM_INTEL_VTD',
  ARM_SMMUV3: 'PLATFORM_ARM_SMMUV3',
  AMD: 'PLATFORM_AMD',
} as const

/** As a session sees it: who else has it is not its business. */
export function deviceProto({ name, scope, facts }: DeviceView): Device {
  return {
    name: `devices/${name}`,
    scope: scopeProto(scope),
    present: facts !== undefined,
    ...(facts !== undefined && factsProto(facts)),
  }
}

export function deviceProtoForOperator(view: DeviceView & Partial<ListedDevice>): Device {
  const { sessions, handedOver = false } = view
  return {
    ...deviceProto(view),
    sessions: sessions.map((name) => `sessions/${name}`),
    handedOver,
  }
}

function factsProto(facts: DeviceFacts): Device {
  return {
    pasidBits: facts.pasidBits,
    translation: TRANSLATIONS[facts.translation],
    platform: PLATFORMS[facts.platform],
    shared: facts.shared,
    addressWidths: [...facts.addressWidths],
    supervisorRequests: facts.supervisorRequests,
    extendedAccessed: facts.extendedAccessed,
    passThrough: facts.passThrough,
    hitlessReplace: facts.hitlessReplace,
    pageRequests: facts.pageRequests,
    group: facts.group ?? '',
    hwInfo: hwInfoProto(hwInfoOf(facts)),
  }
}
