/**
 * What hardware can do, in the bytes in which kernels say it: of a device, of a session's together.
 */

import type { DeviceFacts } from '../../core/device.js'
import { leastHwInfo, type HwInfo } from '../../uapi/hw-info.js'
import { nestingInfoOf } from '../../uapi/nesting-info.js'
import type { HwInfo as HwInfoMessage } from '../../wire/generated/pasid/v1/HwInfo.js'
import type { SessionCapabilities } from '../../wire/generated/pasid/v1/SessionCapabilities.js'

/** Those that there are. */
const WIDTHS = [48, 57] as const

export function hwInfoProto(info: HwInfo): HwInfoMessage {
  return { ...info }
}

/** Undefined: no device is attached. */
export function capabilitiesProto(facts: readonly DeviceFacts[]): SessionCapabilities | undefined {
  if (facts.length === 0) return undefined
  const hwInfo = leastHwInfo(facts)
  const nestingInfo = nestingInfoOf(facts)
  return {
    ...(hwInfo !== undefined && { hwInfo: hwInfoProto(hwInfo) }),
    ...(nestingInfo !== undefined && { nestingInfo }),
    addressWidths: WIDTHS.filter((width) => {
      return facts.every(({ addressWidths }) => addressWidths.includes(width))
    }),
  }
}
