/** How many bytes a row takes in a message, at most: pages are cut so that they fit one. */

import type { AllocationView, BindingView, DeviceView, SessionView } from '../../core/view.js'
import type { Labels } from '../../core/session.js'

/** Tags, lengths and numbers of one message with few fields. */
const SMALL = 64
/** A resource name. */
const NAME = 80

function labelsSize(labels: Labels): number {
  let size = 0
  for (const [key, value] of Object.entries(labels)) {
    size += 8 + Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  return size
}

export function bindingSize({ binding }: BindingView): number {
  return SMALL + NAME + Buffer.byteLength(binding.cause)
}

export function allocationSize(view: AllocationView): number {
  let size = SMALL + 3 * NAME + labelsSize(view.labels)
  for (const binding of view.bindings) size += bindingSize(binding)
  return size
}

export function sessionSize(view: SessionView): number {
  return SMALL + 2 * NAME + labelsSize(view.labels) + view.devices.length * NAME
}

export function deviceSize(view: DeviceView): number {
  return SMALL + NAME + view.sessions.length * NAME
}
