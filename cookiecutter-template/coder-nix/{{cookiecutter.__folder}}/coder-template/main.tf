# The Coder template {{ cookiecutter.coder_template }}: workspaces of the image {{ cookiecutter.repository_name }}
{%- if cookiecutter.infrastructure == "kubernetes" %}, as pods of a cluster.
{%- else %}, as containers of the machine that Coder runs on.
{%- endif %}
terraform {
  required_providers {
    coder = {
      source  = "coder/coder"
      version = "~> 2.1"
    }
{%- if cookiecutter.infrastructure == "kubernetes" %}
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = "~> 2.35"
    }
{%- else %}
    docker = {
      source  = "kreuzwerker/docker"
      version = "~> 3.0"
    }
{%- endif %}
  }
}

provider "coder" {}
{%- if cookiecutter.infrastructure == "kubernetes" %}

# Inside the cluster, with Coder's own service account.
provider "kubernetes" {}

variable "namespace" {
  type        = string
  description = "Namespace of the workspaces; it has to be there."
  default     = "coder-workspaces"
}
{%- else %}

provider "docker" {}
{%- endif %}

locals {
  # A release opens the pull request that moves this tag.
  image = "{{ cookiecutter.__reference }}:unreleased"
  # Not of names, which people may change: what is called otherwise is made anew, and a volume is lost.
  name = "coder-${data.coder_workspace.me.id}"
{%- if cookiecutter.infrastructure == "kubernetes" %}
  labels = {
    "app.kubernetes.io/instance" = local.name
    "com.coder.workspace.name"   = data.coder_workspace.me.name
    "com.coder.user.username"    = data.coder_workspace_owner.me.name
  }
{%- endif %}
  # Not everybody has a full name, and git takes no empty one.
  author = coalesce(data.coder_workspace_owner.me.full_name, data.coder_workspace_owner.me.name)
}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "coder_provisioner" "me" {}
{%- if cookiecutter.infrastructure == "kubernetes" %}

data "coder_parameter" "cpu" {
  name         = "cpu"
  display_name = "CPU cores"
  type         = "number"
  default      = 2
  mutable      = true
  validation {
    min = 1
    max = 8
  }
}

data "coder_parameter" "memory" {
  name         = "memory"
  display_name = "Memory (GiB)"
  type         = "number"
  default      = 4
  mutable      = true
  validation {
    min = 1
    max = 32
  }
}

data "coder_parameter" "disk" {
  name         = "disk"
  display_name = "Home directory (GiB)"
  type         = "number"
  default      = 10
  mutable      = false
  validation {
    min = 1
    max = 200
  }
}
{%- endif %}

resource "coder_agent" "main" {
  os             = "linux"
  arch           = data.coder_provisioner.me.arch
  startup_script = <<-EOT
    set -e
    # A new volume hides what the image has there.
    if [ ! -e ~/.filled ]; then
      cp -rT /etc/skel ~
      touch ~/.filled
    fi
  EOT

  env = {
    GIT_AUTHOR_NAME     = local.author
    GIT_AUTHOR_EMAIL    = data.coder_workspace_owner.me.email
    GIT_COMMITTER_NAME  = local.author
    GIT_COMMITTER_EMAIL = data.coder_workspace_owner.me.email
  }

  metadata {
    key          = "cpu"
    display_name = "CPU"
    script       = "coder stat cpu"
    interval     = 10
    timeout      = 1
  }

  metadata {
    key          = "memory"
    display_name = "Memory"
    script       = "coder stat mem"
    interval     = 10
    timeout      = 1
  }

  metadata {
    key          = "home"
    display_name = "Home directory"
    script       = "coder stat disk --path $HOME"
    interval     = 60
    timeout      = 1
  }
}
{%- if cookiecutter.infrastructure == "kubernetes" %}

resource "kubernetes_persistent_volume_claim_v1" "home" {
  metadata {
    name      = "${local.name}-home"
    namespace = var.namespace
    labels    = local.labels
  }
  wait_until_bound = false
  # Nobody's work goes where the template changes.
  lifecycle {
    ignore_changes = all
  }
  spec {
    access_modes = ["ReadWriteOnce"]
    resources {
      requests = {
        storage = "${data.coder_parameter.disk.value}Gi"
      }
    }
  }
}

resource "kubernetes_deployment_v1" "main" {
  count            = data.coder_workspace.me.start_count
  depends_on       = [kubernetes_persistent_volume_claim_v1.home]
  wait_for_rollout = false

  metadata {
    name      = local.name
    namespace = var.namespace
    labels    = local.labels
  }

  spec {
    replicas = 1
    selector {
      match_labels = {
        "app.kubernetes.io/instance" = local.name
      }
    }
    strategy {
      type = "Recreate"
    }
    template {
      metadata {
        labels = local.labels
      }
      spec {
        automount_service_account_token = false
        security_context {
          run_as_user     = 1000
          fs_group        = 1000
          run_as_non_root = true
        }
        container {
          name    = "dev"
          image   = local.image
          command = ["sh", "-c", coder_agent.main.init_script]
          env {
            name  = "CODER_AGENT_TOKEN"
            value = coder_agent.main.token
          }
          resources {
            requests = {
              cpu    = "250m"
              memory = "512Mi"
            }
            limits = {
              cpu    = data.coder_parameter.cpu.value
              memory = "${data.coder_parameter.memory.value}Gi"
            }
          }
          volume_mount {
            name       = "home"
            mount_path = "/home/coder"
          }
        }
        volume {
          name = "home"
          persistent_volume_claim {
            claim_name = kubernetes_persistent_volume_claim_v1.home.metadata[0].name
          }
        }
      }
    }
  }
}
{%- else %}

resource "docker_volume" "home" {
  name = "${local.name}-home"
  # Nobody's work goes where the template changes.
  lifecycle {
    ignore_changes = all
  }
}

resource "docker_container" "workspace" {
  count    = data.coder_workspace.me.start_count
  name     = local.name
  hostname = data.coder_workspace.me.name
  image    = local.image
  # In the container localhost is not the machine that Coder runs on.
  entrypoint = [
    "sh", "-c",
    replace(coder_agent.main.init_script, "/localhost|127\\.0\\.0\\.1/", "host.docker.internal"),
  ]
  env = ["CODER_AGENT_TOKEN=${coder_agent.main.token}"]

  host {
    host = "host.docker.internal"
    ip   = "host-gateway"
  }

  volumes {
    container_path = "/home/coder"
    volume_name    = docker_volume.home.name
  }
}
{%- endif %}
