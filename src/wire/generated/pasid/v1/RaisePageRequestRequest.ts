// Original file: proto/pasid/v1/emulator_lab.proto

import type { EmulatedTarget as _pasid_v1_EmulatedTarget, EmulatedTarget__Output as _pasid_v1_EmulatedTarget__Output } from '../../pasid/v1/EmulatedTarget.js';
import type { Long } from '@grpc/proto-loader';

export interface RaisePageRequestRequest {
  'device'?: (string);
  'target'?: (_pasid_v1_EmulatedTarget | null);
  'group'?: (number);
  'address'?: (number | string | Long);
  'read'?: (boolean);
  'write'?: (boolean);
  'execute'?: (boolean);
  'privileged'?: (boolean);
  'last'?: (boolean);
  'wait'?: (boolean);
}

export interface RaisePageRequestRequest__Output {
  'device': (string);
  'target': (_pasid_v1_EmulatedTarget__Output | null);
  'group': (number);
  'address': (string);
  'read': (boolean);
  'write': (boolean);
  'execute': (boolean);
  'privileged': (boolean);
  'last': (boolean);
  'wait': (boolean);
}
