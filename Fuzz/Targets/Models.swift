import KaratArchitectures
import KaratBytes
import KaratModels
import KaratPatterns
import KaratTensors
import KaratTokenizers

extension FuzzTarget {
  /// `config.json`: the family, the graph, and how weights are quantized.
  static let config = FuzzTarget(name: "config", seeds: ["Fuzz/Seeds/config"], longestInput: 2048) {
    bytes in
    guard let value = try? JSONValue.parse(bytes), let object = value.object else { return }
    do throws(ConfigError) {
      let quantization = try QuantizationConfig(object, file: name)
      let patterns = quantization.map { $0.ignored + $0.groups.flatMap(\.targets) }
      for pattern in patterns ?? [] {
        _ = pattern.matches("model.layers.10.self_attn.q_proj")
      }
    } catch {
      require(error.file.hasPrefix(name), "\(error) does not name the file")
    }
    // A graph of many layers says no more than one of a few, and takes longer.
    guard object["num_hidden_layers"]?.int.map({ $0 <= 4 }) ?? true else { return }
    do throws(ConfigError) {
      let architecture = try Architecture.named(by: object, file: name)
      _ = try architecture.trace(Config(object, file: name))
    } catch {
      require(error.file.hasPrefix(name), "\(error) does not name the file")
    }
  }

  /// `tokenizer.json`, and what it makes of a text.
  static let tokenizer = FuzzTarget(
    name: "tokenizer",
    seeds: ["Fuzz/Seeds/tokenizer"],
    longestInput: 4096
  ) {
    bytes in
    guard let value = try? JSONValue.parse(bytes) else { return }
    do throws(TokenizerError) {
      let tokenizer = try Tokenizer(value, file: name)
      let ids = tokenizer.encode(text)
      _ = tokenizer.decode(ids)
    } catch {
      require(error.file.hasPrefix(name), "\(error) does not name the file")
    }
  }

  private static let name = "fuzz"
  private static let text = "Hello, wörld! 42 «e\u{301}» 重み\n\t😀  <s>"
}
