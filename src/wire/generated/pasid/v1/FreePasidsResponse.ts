// Original file: proto/pasid/v1/pasid_broker.proto


export interface FreePasidsResponse {
  'freed'?: (number);
  'durable'?: (boolean);
}

export interface FreePasidsResponse__Output {
  'freed': (number);
  'durable': (boolean);
}
