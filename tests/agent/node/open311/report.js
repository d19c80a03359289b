// Hands a report in and reads it back, with npm open311. Arguments: where it is installed, endpoint, key.
const path = require("path");
const { promisify } = require("util");
const [place, endpoint, key] = process.argv.slice(2);
const Open311 = require(path.join(place, "node_modules", "open311"));
const city = new Open311({ endpoint, discovery: endpoint + "discovery.json", apiKey: key });
const ask = (name) => promisify(city[name].bind(city));

async function main() {
  const data = {
    service_code: "chieu-sang",
    description: "Đèn đường tắt ba đêm",
    address_string: "25 phố Kim Đồng",
    lat: "22.66590",
    long: "106.25790",
    attributes: { area: "01273", "so-cot-den": "7" },
  };
  const said = { discovery: await ask("serviceDiscovery")({}), services: await ask("serviceList")() };
  said.definition = await ask("serviceDefinition")("chieu-sang");
  said.submitted = await ask("submitRequest")(data);
  said.request = await ask("serviceRequest")(said.submitted[0].service_request_id, {});
  said.requests = await ask("serviceRequests")({ api_key: key });
  console.log(JSON.stringify(said));
}
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
