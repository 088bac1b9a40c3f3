// Original file: proto/pasid/v1/emulator_lab.proto

import type { EmulatedStatusWrite as _pasid_v1_EmulatedStatusWrite, EmulatedStatusWrite__Output as _pasid_v1_EmulatedStatusWrite__Output } from '../../pasid/v1/EmulatedStatusWrite.js';

export interface SubmitDescriptorsResponse {
  'done'?: (number);
  'problem'?: (string);
  'statusWrites'?: (_pasid_v1_EmulatedStatusWrite)[];
  'interrupts'?: (number);
}

export interface SubmitDescriptorsResponse__Output {
  'done': (number);
  'problem': (string);
  'statusWrites': (_pasid_v1_EmulatedStatusWrite__Output)[];
  'interrupts': (number);
}
