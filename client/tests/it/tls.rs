//! TLS in front of the server of these tests: it can be any server, and writes down what a client tells it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellhop::Fingerprint;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A key, and the certificates that are presented with it.
#[derive(Debug)]
pub(crate) struct Identity {
    pair: KeyPair,
    chain: Vec<CertificateDer<'static>>,
}

/// A listener that speaks TLS, and passes on what is inside.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    config: Mutex<Arc<ServerConfig>>,
    /// Everything that clients said inside of TLS.
    heard: Mutex<Vec<u8>>,
    /// Connections that came.
    came: Mutex<usize>,
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names")
}

impl Identity {
    /// Signed by itself.
    pub(crate) fn new() -> Identity {
        let pair = KeyPair::generate().expect("a key");
        let chain = vec![params(&["bellhop"]).self_signed(&pair).expect("signed").der().clone()];
        Identity { pair, chain }
    }

    /// The next key, for which this one vouches.
    pub(crate) fn rotated(self) -> Identity {
        let pair = KeyPair::generate().expect("a key");
        let issuer = Issuer::new(params(&["bellhop"]), self.pair);
        let mut chain = self.chain;
        chain.insert(0, params(&["bellhop"]).signed_by(&pair, &issuer).expect("signed").der().clone());
        Identity { pair, chain }
    }

    /// For this name, signed by an authority; and the authority's certificate in PEM.
    #[cfg(target_os = "linux")]
    pub(crate) fn by_authority(name: &str) -> (Identity, String) {
        let (root, pair) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let mut authority = params(&[]);
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&root).expect("signed");
        let leaf = params(&[name]).signed_by(&pair, &Issuer::new(authority, root)).expect("signed");
        (Identity { pair, chain: vec![leaf.der().clone()] }, certificate.pem())
    }

    /// The certificates of `other`, with a key that is not theirs.
    pub(crate) fn stolen_from(other: &Identity) -> Identity {
        Identity { pair: KeyPair::generate().expect("a key"), chain: other.chain.clone() }
    }

    pub(crate) fn fingerprint(&self) -> String {
        use sha2::Digest;
        let hash = sha2::Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&self.pair));
        let text = format!("SHA256:{}", base64(&hash));
        text.parse::<Fingerprint>().expect("as a client reads it");
        text
    }

    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let key = PrivateKeyDer::try_from(self.pair.serialize_der()).expect("a key");
        let key = provider.key_provider.load_private_key(key).expect("a key");
        let certified = Arc::new(CertifiedKey::new(self.chain.clone(), key));
        let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
        Arc::new(
            config.expect("TLS 1.3").with_no_client_auth().with_cert_resolver(Arc::new(Always(certified))),
        )
    }
}

/// The alphabet's other spelling, so that the client's is not judged by itself.
fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let sixes =
        bits.as_bytes().chunks(6).map(|six| format!("{:0<6}", std::str::from_utf8(six).expect("digits")));
    sixes.map(|six| alphabet[usize::from_str_radix(&six, 2).expect("bits")]).collect()
}

/// Presents the same to everybody, and does not look whether the key fits.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl Front {
    /// Passes on to `behind`.
    pub(crate) fn start(behind: SocketAddr, identity: &Identity) -> Front {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = Mutex::new(identity.config());
        let shared = Arc::new(Shared { config, heard: Mutex::default(), came: Mutex::default() });
        let serving = shared.clone();
        let serve = async move {
            while let Ok((socket, _)) = listener.accept().await {
                *lock(&serving.came) += 1;
                tokio::spawn(pass_on(socket, behind, serving.clone()));
            }
        };
        std::thread::spawn(move || runtime.block_on(serve));
        Front { address, shared }
    }

    /// From now on it is another server.
    pub(crate) fn becomes(&self, identity: &Identity) {
        *lock(&self.shared.config) = identity.config();
    }

    /// What clients said inside of TLS since the last call.
    pub(crate) fn heard(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.shared.heard))
    }

    /// How many connections came since the last call.
    pub(crate) fn came(&self) -> usize {
        std::mem::take(&mut lock(&self.shared.came))
    }
}

async fn pass_on(socket: TcpStream, behind: SocketAddr, shared: Arc<Shared>) {
    let acceptor = TlsAcceptor::from(lock(&shared.config).clone());
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let (mut from_client, mut to_client) = tokio::io::split(stream);
    let Ok(server) = TcpStream::connect(behind).await else { return };
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async {
        let _ = copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    let requests = async {
        let mut bytes = vec![0; 16_384];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            lock(&shared.heard).extend_from_slice(&bytes[..count]);
            if to_server.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = to_server.shutdown().await;
    };
    tokio::join!(answers, requests);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
