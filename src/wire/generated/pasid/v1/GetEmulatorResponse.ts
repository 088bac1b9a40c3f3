// Original file: proto/pasid/v1/emulator_lab.proto

import type { EmulatedCache as _pasid_v1_EmulatedCache, EmulatedCache__Output as _pasid_v1_EmulatedCache__Output } from '../../pasid/v1/EmulatedCache.js';
import type { EmulatorSwitches as _pasid_v1_EmulatorSwitches, EmulatorSwitches__Output as _pasid_v1_EmulatorSwitches__Output } from '../../pasid/v1/EmulatorSwitches.js';
import type { Long } from '@grpc/proto-loader';

export interface GetEmulatorResponse {
  'capReg'?: (number | string | Long);
  'ecapReg'?: (number | string | Long);
  'rootTable'?: (number | string | Long);
  'caches'?: (_pasid_v1_EmulatedCache)[];
  'switches'?: (_pasid_v1_EmulatorSwitches | null);
  'health'?: (string);
  'healthReason'?: (string);
  'faults'?: (number | string | Long);
  'faultsLost'?: (number | string | Long);
  'queueProblem'?: (string);
}

export interface GetEmulatorResponse__Output {
  'capReg': (string);
  'ecapReg': (string);
  'rootTable': (string);
  'caches': (_pasid_v1_EmulatedCache__Output)[];
  'switches': (_pasid_v1_EmulatorSwitches__Output | null);
  'health': (string);
  'healthReason': (string);
  'faults': (string);
  'faultsLost': (string);
  'queueProblem': (string);
}
