//! Services in an axum `Router`: what `SCRIPT_NAME`, `PATH_INFO`, `REQUEST_URI` and `REMOTE_ADDR` are.

use std::net::SocketAddr;

use axum::{Router, routing::get as route_get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower_server_info::ConnectInfo;

use super::*;
use crate::{handler::WsgiHandler, wait_for_body::WaitForBodyLayer};

/// Responds with the values of the variables, separated by spaces.
fn variables<const N: usize>(
    names: [&str; N],
    environ: &Environ,
    start_response: &StartResponse,
) -> Result<[Piece; 1], BoxError> {
    start_response.start("200 OK", PLAIN)?;
    let values = names.map(|name| {
        let value = environ.get(name).unwrap_or_default();
        format!("[{}]", String::from_utf8_lossy(&value))
    });
    Ok([Ok(values.join(" ").into())])
}

/// Responds with the three paths.
fn app() -> WsgiService<impl Application<Chunks: Send> + use<>> {
    WsgiService::new(|environ: Environ, start_response: StartResponse| {
        let names = ["SCRIPT_NAME", "PATH_INFO", "REQUEST_URI"];
        variables(names, &environ, &start_response)
    })
}

async fn ask(router: &Router, target: &str) -> String {
    let request = Request::get(target)
        .body(axum::body::Body::empty())
        .unwrap();
    let Ok(response) = router.clone().oneshot(request).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(status, 200, "{target}");
    String::from_utf8(body.into()).unwrap()
}

async fn check(router: Router, expected: &[(&str, &str)]) {
    for (target, paths) in expected {
        assert_eq!(ask(&router, target).await, *paths, "{target}");
    }
}

#[tokio::test]
async fn a_nested_service_has_its_prefix_as_script_name() {
    let router = Router::new().nest_service("/m", app());
    let expected = [
        ("/m/a?b=c", "[/m] [/a] [/m/a?b=c]"),
        ("/m/a%20b/", "[/m] [/a b/] [/m/a%20b/]"),
        // Nothing follows the prefix, so `PATH_INFO` is empty.
        ("/m", "[/m] [] [/m]"),
        ("/m?b", "[/m] [] [/m?b]"),
        ("/m/", "[/m] [/] [/m/]"),
        ("/m/m/a", "[/m] [/m/a] [/m/m/a]"),
        ("/m//a", "[/m] [//a] [/m//a]"),
    ];
    check(router, &expected).await;
}

#[tokio::test]
async fn a_script_name_that_the_router_has_removed_is_not_removed_again() {
    let expected = [
        ("/m/a", "[/m] [/a] [/m/a]"),
        ("/m/m/a", "[/m] [/m/a] [/m/m/a]"),
        ("/m", "[/m] [] [/m]"),
    ];
    check(
        Router::new().nest_service("/m", app().script_name("/m")),
        &expected,
    )
    .await;
    // A proxy has removed `/shop`.
    let router = Router::new().nest_service("/m", app().script_name("/shop/m"));
    check(router, &[("/m/a", "[/shop/m] [/a] [/m/a]")]).await;
}

#[tokio::test]
async fn nested_twice_the_prefixes_are_joined() {
    let inner = Router::new().nest_service("/n", app());
    let expected = [
        ("/m/n/a", "[/m/n] [/a] [/m/n/a]"),
        ("/m/n", "[/m/n] [] [/m/n]"),
        ("/m/n/", "[/m/n] [/] [/m/n/]"),
    ];
    check(Router::new().nest("/m", inner.clone()), &expected).await;
    check(Router::new().nest_service("/m", inner.clone()), &expected).await;
    let merged = Router::new()
        .route("/health", route_get(|| async { "ok" }))
        .merge(Router::new().nest("/m", inner));
    check(merged, &expected).await;
}

#[tokio::test]
async fn a_prefix_may_be_encoded_have_a_parameter_or_end_with_a_slash() {
    let router = Router::new()
        .nest_service("/a%20b", app())
        .nest_service("/tenants/{tenant}", app())
        .nest_service("/slash/", app());
    let expected = [
        ("/a%20b/c%2Fd", "[/a b] [/c/d] [/a%20b/c%2Fd]"),
        ("/a%20b", "[/a b] [] [/a%20b]"),
        ("/tenants/acme/a", "[/tenants/acme] [/a] [/tenants/acme/a]"),
        (
            "/tenants/%E2%82%AC/a",
            "[/tenants/€] [/a] [/tenants/%E2%82%AC/a]",
        ),
        ("/slash/a", "[/slash] [/a] [/slash/a]"),
        ("/slash/", "[/slash] [/] [/slash/]"),
    ];
    check(router, &expected).await;
}

#[tokio::test]
async fn a_service_at_the_root_has_no_prefix() {
    let expected = [
        ("/a?b", "[] [/a] [/a?b]"),
        ("/", "[] [/] [/]"),
        ("/m/a", "[] [/m/a] [/m/a]"),
    ];
    check(Router::new().fallback_service(app()), &expected).await;
    let router = Router::new()
        .nest_service("/other", app())
        .merge(Router::new().fallback_service(app()));
    check(router, &expected).await;
}

#[tokio::test]
async fn the_fallback_of_a_nested_router_is_nested() {
    let inner = Router::new()
        .route("/health", route_get(|| async { "ok" }))
        .fallback_service(app());
    let router = Router::new().nest("/m", inner);
    check(router.clone(), &[("/m/a", "[/m] [/a] [/m/a]")]).await;
    check(router, &[("/m/health", "ok")]).await;
}

#[tokio::test]
async fn a_route_removes_no_prefix_but_the_script_name_does() {
    let rest = || Router::new().route_service("/m/{*rest}", app());
    check(rest(), &[("/m/a/b", "[] [/m/a/b] [/m/a/b]")]).await;
    let named = || Router::new().route_service("/m/{*rest}", app().script_name("/m"));
    check(named(), &[("/m/a/b", "[/m] [/a/b] [/m/a/b]")]).await;
    let nested = Router::new().nest("/shop", named());
    check(nested, &[("/shop/m/a", "[/shop/m] [/a] [/shop/m/a]")]).await;
}

#[tokio::test]
async fn a_path_that_a_layer_has_rewritten_is_the_path_info() {
    let rewrite = tower::util::MapRequestLayer::new(|mut request: axum::extract::Request| {
        *request.uri_mut() = "/m/new".parse().unwrap();
        request
    });
    let inner = Router::new().nest_service("/m", app());
    let router = Router::new().fallback_service(tower_layer::Layer::layer(&rewrite, inner));
    check(router, &[("/old", "[/m] [/new] [/old]")]).await;
}

#[tokio::test]
async fn the_layers_pass_on_what_the_router_knows() {
    let pool = BlockingPool::new(1);
    let handler = WsgiHandler::builder()
        .wait_for_body(WaitForBodyLayer::new(100))
        .application(&pool, app())
        .build();
    let router = Router::new().nest_service("/m", handler);
    check(router, &[("/m/a", "[/m] [/a] [/m/a]")]).await;
}

#[tokio::test]
async fn the_client_has_an_address_under_axum_serve() {
    let app = WsgiService::new(|environ: Environ, start_response: StartResponse| {
        let names = ["REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SCRIPT_NAME"];
        variables(names, &environ, &start_response)
    });
    let router = Router::new().nest_service("/m", app);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router
        .clone()
        .into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async { axum::serve(listener, service).await });

    let mut client = TcpStream::connect(address).await.unwrap();
    let port = client.local_addr().unwrap().port();
    let request = "GET /m/a HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    server.abort();
    let expected = format!("[127.0.0.1] [{port}] [example.com] [/m]");
    assert!(response.ends_with(&expected), "{response}");

    // The `ConnectInfo` of the server is preferred: it knows both addresses.
    let address = |last| SocketAddr::from(([127, 0, 0, last], 1));
    let request = Request::get("/m/")
        .extension(axum::extract::ConnectInfo(address(1)))
        .extension(ConnectInfo::tcp(address(2), address(3)));
    let request = request.body(axum::body::Body::empty()).unwrap();
    let Ok(response) = router.oneshot(request).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "[127.0.0.3] [1] [127.0.0.2] [/m]");
}
