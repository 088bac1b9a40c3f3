/** Descriptors in boxes. */
import fs from 'node:fs'
import { expect, test } from 'vitest'
import { native } from '../../src/linux/addon.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { boxed, unboxed } from '../../src/linux/fd-box.js'
import { createMemfd } from '../../src/linux/memfd.js'
import { OwnedFd } from '../../src/linux/owned-fd.js'
import { openFds } from '../native/children.js'

function owned(made: OwnedFd | SyscallFailure): OwnedFd {
  if (made instanceof SyscallFailure) throw new Error(String(made))
  return made
}

function text(fd: OwnedFd): string {
  return String(fs.readFileSync(`/proc/self/fd/${fd.number}`))
}

test('a box has its descriptor again and again, after its sender closed it', () => {
  const begun = openFds()
  const memory = owned(createMemfd('m'))
  fs.writeSync(memory.number, 'what is in it')
  const box = owned(boxed(memory.number))
  memory.close()
  for (let i = 0; i < 3; i += 1) {
    const content = unboxed(box)
    expect(content && text(content)).toBe('what is in it')
    content?.close()
  }
  box.close()
  expect(openFds()).toBe(begun)
})

test('what is in it is the same open file, not a copy', () => {
  const memory = owned(createMemfd('m'))
  const box = owned(boxed(memory.number))
  const content = unboxed(box)
  fs.writeSync(memory.number, 'later')
  expect(content && text(content)).toBe('later')
  for (const fd of [memory, box, content]) fd?.close()
})

test('it closes what is in it when the last of it is closed', () => {
  const pair = native.seqpacketPair()
  if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`)
  const [sent, other] = [new OwnedFd(pair[0], 'sent'), new OwnedFd(pair[1], 'the other end')]
  const box = owned(boxed(sent.number))
  sent.close()
  // EAGAIN: the other end of it is open.
  expect(native.receiveMessage(other.number, 1, 0)).toBe(-11)
  box.close()
  expect(native.receiveMessage(other.number, 1, 0)).toMatchObject({ bytes: Buffer.alloc(0) })
  other.close()
})

test('what is no box has nothing in it, and stays open', () => {
  const begun = openFds()
  const pair = native.seqpacketPair()
  if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`)
  const [empty, sender] = [new OwnedFd(pair[0], 'empty'), new OwnedFd(pair[1], 'its sender')]
  const memory = owned(createMemfd('m'))
  expect(unboxed(memory)).toBeUndefined()
  expect(unboxed(empty)).toBeUndefined()
  // Another's message, with a descriptor, and one without.
  native.sendMessage(sender.number, Buffer.from('fox'), [memory.number])
  expect(unboxed(empty)).toBeUndefined()
  native.sendMessage(empty.number, Buffer.from('box'), [])
  expect(unboxed(sender)).toBeUndefined()
  for (const fd of [empty, sender, memory]) fd.close()
  expect(openFds()).toBe(begun)
})

test('nothing is in a box of a descriptor that is not open', () => {
  const begun = openFds()
  expect(boxed(99_999)).toEqual(new SyscallFailure('sendmsg', 'EBADF'))
  expect(openFds()).toBe(begun)
})
