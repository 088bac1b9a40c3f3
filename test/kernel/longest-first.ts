/**
 * The order of test files: as vitest has it, but for those in the guests, where one takes longer
 * than all others together, and so begins first.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const LONGEST = /\/test\/kernel\/guest\/scenario\.test\.ts$/

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLongest = ({ moduleId }: TestSpecification) => LONGEST.test(moduleId)
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))]
  }
}
