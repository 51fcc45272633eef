//! Serves the configured index through the proxy on a loopback port until its standard input ends, then says
//! what was asked for: for trying an installer against it by hand.

use std::{io::Read as _, path::PathBuf};

use wheeltapper_index::{
    Client, ClientOptions, Configuration, Files, FilesOptions, Proxy, ProxyOptions, Surroundings, Uv,
};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example talks to whoever tries it")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = PathBuf::from(arguments.next().ok_or("usage: index_proxy DATA_FOLDER [DATE]")?);
    let exclude_newer = arguments.next().map(|date| date.parse()).transpose()?;
    let surroundings = Surroundings::of_process();
    let found = Uv::find(&surroundings, &data).await;
    let program = found.as_ref().map(|uv| uv.path.as_path());
    let configuration = Configuration::read(&surroundings, program, &[]).await?;
    println!("{configuration:#?}");
    let client =
        Client::new(configuration, ClientOptions { cache: Some(data.clone()), ..ClientOptions::default() })?;
    let files = Files::open(&data, FilesOptions::default())?;
    let proxy = Proxy::new(client, files, ProxyOptions { exclude_newer, ..ProxyOptions::default() });
    let serving = proxy.serve(std::net::TcpListener::bind("127.0.0.1:0")?)?;
    println!("{}", serving.url());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    println!("{:#?}\n{:#?}", serving.recording(), proxy.notes());
    Ok(())
}
