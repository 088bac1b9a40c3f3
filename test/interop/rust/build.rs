//! Stubs from the broker's own `.proto` files; `PASID_PROTO` is the folder that has `pasid/v1`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-env-changed=PASID_PROTO");
    let proto = std::env::var("PASID_PROTO").unwrap_or_else(|_| "../../../proto".into());
    let files =
        ["types", "pasid_broker", "operator"].map(|name| format!("{proto}/pasid/v1/{name}.proto"));
    tonic_prost_build::configure().build_server(false).compile_protos(&files, &[proto])?;
    Ok(())
}
