/** A machine of the kernel tier fails for what its tests cannot say themselves. */
import { describe, expect, test } from 'vitest'
import { problemsOf } from '../kernel/vm/verdict.mjs'

const GOOD = {
  code: 0,
  timedOut: false,
  output: '',
  console: 'guest: Linux 7.3.4, starts the worker\nDMAR: DRHD: handling fault status reg 2\n',
  exitCode: '0',
}

test('nothing is wrong with a machine whose worker ended well', () => {
  expect(problemsOf(GOOD)).toEqual([])
})

describe('it has failed', () => {
  test.each([
    ['a panic', 'Kernel panic - not syncing: sysrq triggered crash'],
    ['a bug', 'BUG: kernel NULL pointer dereference, address: 0000000000000010'],
    ['an oops', 'Oops: Oops: 0002 [#1] SMP'],
    ['a warning', 'WARNING: drivers/iommu/iommufd/main.c:389 at iommufd_fops_release+0xab/0x110'],
  ])('after %s', (_what, line) => {
    const problems = problemsOf({ ...GOOD, console: `${GOOD.console}${line}\n${line}\n` })
    expect(problems).toEqual([`the kernel in the machine says: ${line}`])
  })

  test.each([
    ['without an exit code', { exitCode: '' }, 'left no exit code'],
    ['with another exit code', { exitCode: '137' }, 'exit code 137'],
    ['when QEMU fails', { code: 1, output: 'no such image\n' }, 'no such image'],
    ['out of time', { timedOut: true, code: 128 }, 'ran too long'],
  ])('%s', (_what, change, text) => {
    const problems = problemsOf({ ...GOOD, ...change })
    expect(problems).toEqual([expect.stringContaining(text)])
  })
})

test('a ready image warns of PASIDs that its devices only claim', () => {
  const line = 'WARNING: drivers/iommu/iommufd/device.c:1731 at iommufd_get_hw_info+0x29a/0x320'
  expect(problemsOf({ ...GOOD, console: line })).toEqual([])
})
