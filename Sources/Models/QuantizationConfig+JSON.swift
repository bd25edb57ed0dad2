package import KaratArchitectures
package import KaratBytes
import KaratPatterns
import KaratTensors

extension QuantizationConfig {
  /// Reads the `quantization_config` of a config.json, or gives nil where there is none.
  ///
  /// - Throws: `ConfigError` where it asks for arithmetic that Karat does not have.
  package init?(_ config: JSONObject, file: String) throws(ConfigError) {
    guard let value = config["quantization_config"], !value.isNull else { return nil }
    func unsupported(_ what: String, _ needed: String) -> ConfigError {
      ConfigError(
        file: file,
        "'quantization_config': \(what); supported is \(needed).",
        isUnsupported: true
      )
    }
    guard let object = value.object else {
      throw ConfigError(
        file: file,
        "'quantization_config' is \(value.kind); an object is needed."
      )
    }
    let method = object["quant_method"]?.string ?? "not named"
    guard method == "compressed-tensors" else {
      throw unsupported("the method is '\(method)'", "'compressed-tensors'")
    }
    let format = object["format"]?.string ?? "not named"
    guard ["int-quantized", "naive-quantized"].contains(format) else {
      throw unsupported("the format is '\(format)'", "'int-quantized'")
    }
    if let cache = object["kv_cache_scheme"], !cache.isNull {
      throw unsupported("'kv_cache_scheme' is set", "null")
    }
    guard let named = object["config_groups"]?.object, named.count > 0 else {
      throw ConfigError(
        file: file,
        "'quantization_config' has no 'config_groups', so nothing says what is quantized."
      )
    }
    func pattern(_ text: String) throws(ConfigError) -> ModulePattern {
      guard let pattern = ModulePattern(text) else {
        throw ConfigError(
          file: file,
          "'quantization_config': '\(text)' is not a regular expression behind 're:'."
        )
      }
      return pattern
    }
    var groups: [Group] = []
    for (name, value) in named.members {
      let targets = try (value["targets"]?.array?.compactMap(\.string) ?? []).map(pattern)
      guard let weights = value["weights"]?.object, !targets.isEmpty else {
        throw ConfigError(
          file: file,
          "'quantization_config', group '\(name)': 'targets' and 'weights' are needed."
        )
      }
      if let outputs = value["output_activations"], !outputs.isNull {
        throw unsupported("group '\(name)' quantizes 'output_activations'", "null")
      }
      guard let weightScheme = Scheme(weights), [4, 8].contains(weightScheme.bits),
        weightScheme.isSymmetric, weightScheme.granularity == .channel, !weightScheme.isDynamic
      else {
        throw unsupported(
          "the weights of group '\(name)' are \(Self.text(weights))",
          "8-bit or 4-bit int, symmetric, strategy 'channel'"
        )
      }
      var activations: Scheme?
      if let inputs = value["input_activations"]?.object {
        guard let scheme = Scheme(inputs), scheme.bits == 8,
          scheme == .int8Tokens || (scheme.granularity == .tensor && !scheme.isDynamic)
        else {
          throw unsupported(
            "the activations of group '\(name)' are \(Self.text(inputs))",
            "8-bit int: strategy 'tensor', not dynamic, or strategy 'token', dynamic and symmetric"
          )
        }
        activations = scheme
      }
      groups.append(Group(targets: targets, weights: weightScheme, activations: activations))
    }
    let ignored = try (object["ignore"]?.array?.compactMap(\.string) ?? []).map(pattern)
    self.init(groups: groups, ignored: ignored)
  }

  /// The object for config.json, with the keys that every release of the readers accepts.
  package var json: JSONValue {
    var named = JSONObject()
    for (index, group) in groups.enumerated() {
      var object = JSONObject()
      object["targets"] = .array(group.targets.map { .string($0.text) })
      object["weights"] = group.weights.json
      if let activations = group.activations {
        object["input_activations"] = activations.json
      } else {
        // Without it the readers take integer weights alone for packed ones; with activations they
        // do not, and releases that know no such key refuse it.
        object["format"] = "int-quantized"
      }
      named["group_\(index)"] = .object(object)
    }
    var object = JSONObject()
    object["quant_method"] = "compressed-tensors"
    object["format"] = "int-quantized"
    object["quantization_status"] = "compressed"
    object["config_groups"] = .object(named)
    object["ignore"] = .array(ignored.map { .string($0.text) })
    object["kv_cache_scheme"] = .null
    return .object(object)
  }

  private static func text(_ object: JSONObject) -> String {
    String(decoding: JSONValue.object(object).serialized(indent: nil), as: UTF8.self)
  }
}

extension Scheme {
  /// Reads compressed-tensors' description of a grid of integers, or gives nil for another kind.
  fileprivate init?(_ object: JSONObject) {
    guard object["type"]?.string ?? "int" == "int", let bits = object["num_bits"]?.int,
      let granularity = Granularity(rawValue: object["strategy"]?.string ?? "tensor"),
      object["group_size"].map(\.isNull) ?? true, object["dynamic"]?.string == nil
    else { return nil }
    self.init(
      bits: bits,
      isSymmetric: object["symmetric"]?.bool ?? true,
      granularity: granularity,
      isDynamic: object["dynamic"]?.bool ?? false
    )
  }

  fileprivate var json: JSONValue {
    [
      "num_bits": .number(JSONNumber(bits)), "type": "int", "symmetric": .bool(isSymmetric),
      "strategy": .string(granularity.rawValue), "dynamic": .bool(isDynamic),
    ]
  }
}
