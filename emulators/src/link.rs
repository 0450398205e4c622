//! A connection between a client and a server that can be made to hang.

use std::{io, net::SocketAddr};

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A loopback address that passes bytes on to a server, until it is told not to.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    hangs: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Link {
    /// Opens a link to a server given as `http://<address>`.
    ///
    /// # Errors
    /// When the address cannot be read or no port is to be had.
    pub async fn to(url: &str) -> io::Result<Self> {
        let upstream: SocketAddr = url.trim_start_matches("http://").parse().map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (hangs, seen) = watch::channel(false);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, upstream, seen.clone()));
            }
        });
        Ok(Self { address, hangs, server })
    }

    /// Its address, to use in place of the server's.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on connections are accepted and held open, and no byte passes.
    pub fn hang(&self) {
        self.hangs.send_replace(true);
    }

    /// From now on new connections pass bytes again.
    pub fn mend(&self) {
        self.hangs.send_replace(false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass_on(mut client: TcpStream, upstream: SocketAddr, mut hangs: watch::Receiver<bool>) {
    let passing = async {
        if let Ok(mut server) = TcpStream::connect(upstream).await {
            // Either side may close at any time.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    };
    let hanging = async {
        if hangs.wait_for(|hangs| *hangs).await.is_err() {
            // The link is gone: no one will ask for a hang any more.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = passing => return,
        () = hanging => {}
    }
    // The client's half stays open until the client gives up.
    let mut nothing = [0; 1024];
    while client.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{io::AsyncWriteExt, time::timeout};

    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        url
    }

    async fn connect(link: &Link) -> TcpStream {
        TcpStream::connect(link.url().trim_start_matches("http://")).await.unwrap()
    }

    async fn answer(client: &mut TcpStream) -> Option<io::Result<usize>> {
        let mut bytes = [0; 16];
        timeout(Duration::from_millis(300), client.read(&mut bytes)).await.ok()
    }

    #[tokio::test]
    async fn while_it_hangs_a_connection_is_neither_answered_nor_closed_whatever_is_sent() {
        let link = Link::to(&echo().await).await.unwrap();
        let mut old = connect(&link).await;
        old.write_all(b"before").await.unwrap();
        assert_eq!(answer(&mut old).await.unwrap().unwrap(), 6);
        link.hang();
        let mut new = connect(&link).await;
        for client in [&mut old, &mut new] {
            for _ in 0..2 {
                client.write_all(b"while it hangs").await.unwrap();
                assert!(answer(client).await.is_none(), "answered or closed");
            }
        }
        link.mend();
        let mut mended = connect(&link).await;
        mended.write_all(b"after").await.unwrap();
        assert_eq!(answer(&mut mended).await.unwrap().unwrap(), 5);
        assert!(answer(&mut new).await.is_none(), "what hangs stays so");
    }
}
