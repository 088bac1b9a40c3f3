// Original file: proto/pasid/v1/pasid_broker.proto


export interface CloseSessionResponse {
  'freed'?: (number);
  'durable'?: (boolean);
}

export interface CloseSessionResponse__Output {
  'freed': (number);
  'durable': (boolean);
}
