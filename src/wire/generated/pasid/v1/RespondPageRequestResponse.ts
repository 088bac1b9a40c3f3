// Original file: proto/pasid/v1/pasid_broker.proto


export interface RespondPageRequestResponse {
}

export interface RespondPageRequestResponse__Output {
}
