// Original file: proto/pasid/v1/emulator_lab.proto

import type { EmulatorSwitches as _pasid_v1_EmulatorSwitches, EmulatorSwitches__Output as _pasid_v1_EmulatorSwitches__Output } from '../../pasid/v1/EmulatorSwitches.js';

export interface UpdateEmulatorResponse {
  'switches'?: (_pasid_v1_EmulatorSwitches | null);
}

export interface UpdateEmulatorResponse__Output {
  'switches': (_pasid_v1_EmulatorSwitches__Output | null);
}
