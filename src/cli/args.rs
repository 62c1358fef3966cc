//! The command line: what may be asked, in the contract's words. Chinese first.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::config::is_domain;
use crate::base::Day;
use crate::sandbox::VerifyMode;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "zhanggui",
    version,
    about = "掌柜：微信小程序的收银台，一个程序、一份配置、一个数据目录\n\
             zhanggui: the till of a WeChat mini program",
    arg_required_else_help = true,
    disable_help_subcommand = true,
    disable_help_flag = true,
    disable_version_flag = true,
    help_template = HELP,
    after_help = "退出码 exit codes：0 成功 good，1 失败 failed，2 用法或配置有误 wrong usage or config"
)]
pub struct Arguments {
    /// 配置文件 · the configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "config.toml"
    )]
    pub config: PathBuf,
    /// 显示帮助 · print help
    #[arg(short, long, global = true, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// 显示版本 · print version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    pub version: Option<bool>,
    /// 显示所用开源软件的许可证 · print the licences of what is inside
    #[arg(long, exclusive = true)]
    pub licenses: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const HELP: &str = "\
{about}

用法 usage：{usage}

命令 commands：
{subcommands}

选项 options：
{options}

{after-help}
";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// 启动服务 · run the server
    Serve(Serve),
    /// 不用账号和网络，演示一笔从登录到支付的完整购买 · show one purchase, from login to paid
    Demo(Demo),
    /// 单独运行微信模拟器 · run the WeChat simulator alone
    Sandbox(Sandbox),
    /// 生成一份配置，自带随机的盐和密钥 · write a configuration with fresh salt and field key
    Init(Box<Init>),
    /// 检查配置，说明登录和支付各缺什么 · say what is missing for login and for pay
    Check,
    /// 备份数据目录，服务器运行中或已停止都可以 · back up the data directory, running or stopped
    Backup(Backup),
    /// 从备份（或数据目录的拷贝）恢复到空的数据目录 · restore into an empty data directory
    Restore(Restore),
    /// 核对一份备份、拷贝或已停止的数据目录 · prove a backup, a copy or a stopped store
    Verify(Verify),
    /// 为已停止的服务器重建工作集，变小 · rebuild the working set of a stopped server, smaller
    Compact,
    /// 导出 · export
    Export(Export),
    /// 管理员 · the merchant's people
    Admin(Admin),
    /// 商家后端用的 API 密钥 · API keys for the merchant's own backend
    Key(Key),
    /// 订单 · orders
    Order(Order),
    /// webhook 端点：重新启用并补发错过的 · webhook endpoints
    Webhook(Webhook),
    /// 与微信的日账单对账；有差异退出码为 1 · compare a day's bill with the orders here
    Reconcile(Reconcile),
}

/// `serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// 用这个域名提供 HTTPS，证书自动申请和续期；可写多次，第一个是主域名 · serve HTTPS as this name
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    pub domain: Vec<String>,
    /// 证书机构联系用的邮箱 · the mail address given to the certificate authority
    #[arg(long, value_name = "EMAIL", requires = "domain")]
    pub email: Option<String>,
    /// 崩溃测试用：写盘线程把自己在做什么写进这个文件的首字节 · for crash tests
    #[arg(long, value_name = "FILE", hide = true)]
    pub phase_file: Option<PathBuf>,
    /// 测试用：跟随本机模拟器的时钟 · for tests: follow the clock of a simulator on this machine
    #[arg(long, value_name = "URL", hide = true)]
    pub clock_from: Option<String>,
    /// 只读打开一份副本：不做后台任务，不联系微信，不接受写入 · look at a copy: no writes, no calls
    #[arg(long)]
    pub read_only: bool,
    /// 测试用：写盘多少秒没有进展就退出 · for tests: give up a writer that is stuck this long
    #[arg(long, value_name = "S", hide = true)]
    pub stuck_after_s: Option<u64>,
}

fn domain(text: &str) -> Result<String, String> {
    let wanted = "应是域名，如 shop.example.com · a host name such as shop.example.com";
    match is_domain(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(wanted.to_owned()),
    }
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// 演示完就退出；有任何不符退出码为 1 · exit after the purchase, 1 if anything differs
    #[arg(long)]
    pub once: bool,
    /// 商店监听的地址 · where the shop listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

/// `sandbox`
#[derive(Debug, Args)]
pub struct Sandbox {
    /// 监听的地址 · where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090")]
    pub listen: SocketAddr,
    /// 把模拟账号和密钥留在这个目录，下次接着用 · keep the made-up account and its keys here
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// 商店的地址，/sandbox/phone 用它 · where the shop is, for /sandbox/phone
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub shop: String,
    /// 商户用什么验签：public_key、certificate、both · what the merchant verifies WeChat with
    #[arg(long, value_name = "MODE", default_value_t = VerifyMode::PublicKey)]
    pub verify: VerifyMode,
}

/// `init`: what is not given is asked on a terminal, and left empty without one.
#[derive(Debug, Default, Args)]
pub struct Init {
    /// 小程序 AppID · the mini program's AppID
    #[arg(long)]
    pub appid: Option<String>,
    /// 存放 AppSecret 的文件 · the file that holds the AppSecret
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<String>,
    /// 微信访问本店的地址 · how WeChat reaches this shop
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// 监听的地址 · where to listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// 数据目录 · the data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// 商户号；留空则不收款 · the merchant number; without it nothing can be paid
    #[arg(long)]
    pub mchid: Option<String>,
    /// 新支付的协议 v2 或 v3 · the protocol of new payments
    #[arg(long, value_name = "v2|v3")]
    pub pay_version: Option<String>,
    /// 存放 APIv2 密钥的文件 · the file that holds the APIv2 key
    #[arg(long, value_name = "FILE")]
    pub v2_key_file: Option<String>,
    /// 存放 APIv3 密钥的文件 · the file that holds the APIv3 key
    #[arg(long, value_name = "FILE")]
    pub v3_key_file: Option<String>,
    /// 商户证书序列号 · the serial of the merchant's certificate
    #[arg(long, value_name = "HEX")]
    pub merchant_serial: Option<String>,
    /// 商户 API 私钥 apiclient_key.pem · the merchant's private key
    #[arg(long, value_name = "FILE")]
    pub merchant_key_file: Option<String>,
    /// 微信支付公钥 ID · the id of WeChat Pay's public key
    #[arg(long, value_name = "PUB_KEY_ID_…")]
    pub wechat_public_key_id: Option<String>,
    /// 微信支付公钥 pub_key.pem · WeChat Pay's public key
    #[arg(long, value_name = "FILE")]
    pub wechat_public_key_file: Option<String>,
}

/// `backup`
#[derive(Debug, Args)]
pub struct Backup {
    /// 备份到哪里：还不存在的目录，或空目录 · an absent or empty directory
    #[arg(value_name = "DEST")]
    pub dest: PathBuf,
}

/// `restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// 备份，或数据目录的拷贝 · a backup, or a copy of a data directory
    #[arg(value_name = "SRC")]
    pub source: PathBuf,
}

/// `verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// 备份、拷贝，或已停止的数据目录；不会写入它 · it is never written into
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// 输出 JSON · print JSON
    #[arg(long)]
    pub json: bool,
}

/// `export`
#[derive(Debug, Args)]
pub struct Export {
    /// What to export.
    #[command(subcommand)]
    pub command: ExportCommand,
}

/// `export …`
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// 订单表格 CSV，Excel 和 WPS 可直接打开 · orders as CSV for Excel and WPS
    Orders(ExportOrders),
}

/// `export orders`
#[derive(Debug, Args)]
pub struct ExportOrders {
    /// 从哪一天下的单（北京时间，含） · placed from this Beijing day on
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<Day>,
    /// 到哪一天（含） · to this day, inclusive
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<Day>,
    /// 写到文件；不给就写到标准输出 · a file; without it standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `reconcile`
#[derive(Debug, Args)]
pub struct Reconcile {
    /// 哪一天（北京时间），昨天或更早 · which Beijing day, yesterday or earlier
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Day,
    /// 输出 JSON · print JSON
    #[arg(long)]
    pub json: bool,
}

/// `admin`
#[derive(Debug, Args)]
pub struct Admin {
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// `admin …`
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// 新建管理员 · create an admin
    Create {
        /// 名字 · the name
        name: String,
        /// 从标准输入读一行密码（至少 10 个字符） · read the password from standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// 换密码；此人已登录的控制台全部退出，锁定也解除 · a new password; ends sessions and locks
    Password {
        /// 名字 · the name
        name: String,
        /// 从标准输入读一行密码（至少 10 个字符） · read the password from standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// 启用（或换新）登录动态码，只显示这一次 · a second factor for an authenticator app
    Totp {
        /// 名字 · the name
        name: String,
        /// 停用动态码 · take it away
        #[arg(long)]
        off: bool,
    },
}

/// `key`
#[derive(Debug, Args)]
pub struct Key {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// `key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// 新建 API 密钥，只显示这一次 · create an API key; it is shown this once
    Create {
        /// 给它起个名字 · a name for it
        name: String,
    },
}

/// `order`
#[derive(Debug, Args)]
pub struct Order {
    /// What to do.
    #[command(subcommand)]
    pub command: OrderCommand,
}

/// `order …`
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// 一个订单的全部经过：与微信的每次往来、每条通知、每个决定 · one order and all that happened to it
    Show {
        /// 订单号 · the order's number
        order_no: String,
        /// 输出 JSON，与 GET /admin/v1/orders/{order_no} 相同 · print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `webhook`
#[derive(Debug, Args)]
pub struct Webhook {
    /// What to do.
    #[command(subcommand)]
    pub command: WebhookCommand,
}

/// `webhook …`
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// 重新启用一个端点，从它没收到的第一条起补发 · call an endpoint again, from what it missed
    Replay {
        /// 端点编号 · the endpoint's number
        id: u64,
    },
}
