import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/** HOME CONFIG: one OpenSearch node straight from the server's jars, told by CONFIG/opensearch.yml. Ends on SIGTERM. */
public class Launcher {
  static final String[] MODULES = {
    "org.opensearch.transport.Netty4Plugin", "org.opensearch.analysis.common.CommonAnalysisPlugin",
    "org.opensearch.index.mapper.MapperExtrasPlugin", "org.opensearch.index.reindex.ReindexPlugin",
    "org.opensearch.ingest.common.IngestCommonPlugin", "org.opensearch.painless.PainlessPlugin"};

  /** Node's public constructor loads plugins from folders only; the protected one takes classes from the class path. */
  static class ClasspathNode extends Node {
    ClasspathNode(Environment environment, Collection<Class<? extends Plugin>> modules) {
      super(environment, modules, false);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Settings home = Settings.builder().put("path.home", arguments[0]).build();
    Path config = Paths.get(arguments[1]).toAbsolutePath();
    Environment environment =
        InternalSettingsPreparer.prepareEnvironment(home, Map.of(), config, () -> System.getenv("HOSTNAME"));
    LogConfigurator.registerErrorListener();
    LogConfigurator.configure(environment);
    List<Class<? extends Plugin>> modules = new ArrayList<>();
    for (String module : MODULES) modules.add(Class.forName(module).asSubclass(Plugin.class));
    Node node = new ClasspathNode(environment, modules);
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        node.close();
      } catch (Exception error) {
        error.printStackTrace();
      }
      ended.countDown();
    }));
    node.start();
    ended.await();
  }
}
