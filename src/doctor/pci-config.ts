/**
 * The PASID Extended Capability in a function's configuration space (PCIe 7.6.3, 7.8.8;
 * include/uapi/linux/pci_regs.h), as sysfs gives it out. Without CAP_SYS_ADMIN that is the first
 * 64 bytes only.
 */

import type { PasidCapability } from './host-facts.js'

/** Conventional configuration space; what follows is the extended one. */
const EXTENDED_FIRST = 256
const HEADER_BYTES = 4
const CONFIG_BYTES_MAX = 4096
/** What is readable without privilege. */
const PLAIN_BYTES = 64
/** PCI_EXT_CAP_ID_PASID. */
const PASID_ID = 0x1b
/** PCI_PASID_CAP, and PCI_PASID_CAP_WIDTH in it. */
const PASID_CAP = 4
const WIDTH_SHIFT = 8
const WIDTH_MASK = 0x1f
/** PCI_EXT_CAP_NEXT: a multiple of 4. */
const NEXT_SHIFT = 20
const NEXT_MASK = 0xffc

/** `config` undefined: it cannot be read at all. */
export function pasidCapability(config: Uint8Array | undefined): PasidCapability {
  if (config === undefined || config.length === 0) {
    return { kind: 'UNREADABLE', why: 'its configuration space cannot be read' }
  }
  if (config.length <= PLAIN_BYTES) {
    return { kind: 'UNREADABLE', why: 'only root sees more than 64 bytes of configuration space' }
  }
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength)
  // A function that is gone, or does not wake, reads as all ones.
  if (view.getUint32(0, true) === 0xffff_ffff) {
    return { kind: 'UNREADABLE', why: 'the function does not answer' }
  }
  const end = Math.min(config.length, CONFIG_BYTES_MAX) - PASID_CAP - 1
  // Each of them is at a place of its own: more steps than places is a circle.
  let steps = (CONFIG_BYTES_MAX - EXTENDED_FIRST) / HEADER_BYTES
  for (let at = EXTENDED_FIRST; at >= EXTENDED_FIRST && at < end && steps > 0; steps -= 1) {
    const header = view.getUint32(at, true)
    if ((header & 0xffff) === PASID_ID) {
      const bits = (view.getUint16(at + PASID_CAP, true) >> WIDTH_SHIFT) & WIDTH_MASK
      return { kind: 'PRESENT', bits }
    }
    at = (header >>> NEXT_SHIFT) & NEXT_MASK
  }
  return { kind: 'ABSENT' }
}
