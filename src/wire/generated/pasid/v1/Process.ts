// Original file: proto/pasid/v1/types.proto


export interface Process {
  'pid'?: (number);
  'uid'?: (number);
  'gid'?: (number);
}

export interface Process__Output {
  'pid': (number);
  'uid': (number);
  'gid': (number);
}
