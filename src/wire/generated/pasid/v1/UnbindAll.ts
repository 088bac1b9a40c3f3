// Original file: proto/pasid/v1/pasid_broker.proto


export interface UnbindAll {
}

export interface UnbindAll__Output {
}
