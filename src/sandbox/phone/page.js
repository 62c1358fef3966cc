
'use strict';
const at = (id) => document.getElementById(id);
const yuan = (fen) => '¥' + Math.floor(fen / 100) + '.' + String(fen % 100).padStart(2, '0');
const STATUS = {
  pending: '待支付 pending', paid: '已支付 paid', shipped: '已发货 shipped',
  completed: '已完成 completed', closed: '已关闭 closed', refunded: '已退款 refunded',
};
let openid = null;
let token = null;

function say(text, bad) {
  const line = document.createElement('li');
  line.textContent = text;
  if (bad) line.className = 'bad';
  at('log').prepend(line);
}

// WeChat's side: the simulator that served this page.
async function wechat(method, path, body) {
  const sent = { method, headers: {} };
  if (body !== undefined) {
    sent.headers['content-type'] = 'application/json';
    sent.body = JSON.stringify(body);
  }
  const answer = await fetch(path, sent);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.message || answer.status);
  return told;
}

// The shop, through the simulator.
async function shop(method, path, body) {
  const told = await wechat('POST', '/sandbox/shop', { method, path, token, body });
  say(method + ' ' + path + ' → ' + told.status, told.status >= 400);
  if (told.status >= 400) throw new Error(told.body.code + ' ' + told.body.message);
  return told.body;
}

function button(text, work) {
  const made = document.createElement('button');
  made.textContent = text;
  made.onclick = () => run(made, work);
  return made;
}

async function run(pressed, work) {
  pressed.disabled = true;
  try {
    await work();
  } catch (why) {
    say(why.message, true);
  }
  pressed.disabled = false;
}

async function login() {
  const made = await wechat('POST', '/sandbox/login-codes', openid ? { openid } : {});
  openid = made.openid;
  token = (await shop('POST', '/api/v1/token', { code: made.code })).token;
  at('who').textContent = '已登录 logged in: ' + openid.slice(0, 10) + '…';
  await Promise.all([showGoods(), showOrders()]);
}

async function phone() {
  if (!openid) throw new Error('请先登录 (log in first)');
  const made = await wechat('POST', '/sandbox/phone-codes', { openid, phone: '13812345678' });
  const told = await shop('POST', '/api/v1/user/phone', { code: made.code });
  say('手机号 phone: ' + told.phone);
}

function row(list, text, buttons) {
  const line = document.createElement('li');
  const said = document.createElement('div');
  said.textContent = text;
  line.append(said, ...buttons);
  list.append(line);
}

async function showGoods() {
  const { goods } = await shop('GET', '/api/v1/goods');
  at('goods').replaceChildren();
  for (const one of goods) {
    const text = one.title + ' ' + yuan(one.price_fen) + '（库存 stock ' + one.stock + '）';
    row(at('goods'), text, [button('买一件 buy one', () => buy(one.id))]);
  }
}

async function buy(id) {
  if (!token) throw new Error('请先登录 (log in first)');
  const order = await shop('POST', '/api/v1/orders', { lines: [{ goods_id: id, count: 1 }] });
  await showOrders();
  await pay(order);
  await showGoods();
}

// What wx.requestPayment does: checks the object, shows the cashier, pays or gives up.
async function pay(order) {
  const path = '/api/v1/orders/' + order.order_no;
  const params = await shop('POST', path + '/pay');
  await wechat('POST', '/sandbox/verify-pay-params', params);
  if (await cashier(order.total_fen)) {
    const prepay_id = params.package.replace('prepay_id=', '');
    const paid = await wechat('POST', '/sandbox/payments', { prepay_id });
    say('requestPayment:ok ' + paid.transaction_id);
  } else {
    say('requestPayment:fail cancel');
  }
  await showOrders();
}

function cashier(fen) {
  at('amount').textContent = yuan(fen);
  at('cashier').showModal();
  return new Promise((done) => {
    const end = (paid) => { at('cashier').close(); done(paid); };
    at('confirm').onclick = () => end(true);
    at('cancel').onclick = () => end(false);
    at('cashier').oncancel = () => done(false);
  });
}

async function showOrders() {
  const { orders } = await shop('GET', '/api/v1/orders');
  at('orders').replaceChildren();
  for (const order of orders) {
    const titles = order.lines.map((line) => line.title + '×' + line.count).join('、');
    const text = [STATUS[order.status] || order.status, titles, yuan(order.total_fen),
      order.order_no].join(' · ');
    row(at('orders'), text, choices(order));
  }
}

function choices(order) {
  const path = '/api/v1/orders/' + order.order_no;
  const act = (verb, body) => async () => {
    await shop('POST', path + verb, body);
    await showOrders();
  };
  const wxReceive = async () => {
    await wechat('POST', '/sandbox/receipts', { transaction_id: order.transaction_id });
    await showOrders();
  };
  const ask = button('申请退款 ask for a refund', act('/refund-request', { reason: '不想要了' }));
  switch (order.status) {
    case 'pending':
      return [button('支付 pay', () => pay(order)), button('取消订单 cancel', act('/cancel'))];
    case 'paid':
      return [ask];
    case 'shipped':
      return [button('确认收货 confirm receipt', act('/receive')),
        button('在微信里确认收货 confirm in WeChat', wxReceive), ask];
    case 'completed':
      return [ask];
    default:
      return [];
  }
}

at('login').onclick = () => run(at('login'), login);
at('phone').onclick = () => run(at('phone'), phone);
at('refresh').onclick = () => run(at('refresh'), showOrders);
